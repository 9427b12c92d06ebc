#include "server/process_tree.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "common/log/log.h"
#include "common/mp/cpu_count.h"
#include "server/acceptor.h"
#include "server/access_log.h"
#include "server/event_worker.h"
#include "server/passer.h"
#include "server/pool_worker.h"

namespace forkecho::server {
namespace {

/// At the end of a scope nobody sits in the seat any more.
class Vacated {
 public:
  explicit Vacated(Seat& seat) : seat_(seat) {}
  Vacated(const Vacated&) = delete;
  Vacated& operator=(const Vacated&) = delete;
  ~Vacated() {
    seat_.process.reset();
    seat_.pid = 0;
    seat_.retiring = false;
  }

 private:
  Seat& seat_;
};

/// A fault of its own, unlike a signal from outside.
bool may_have_written_anywhere(int exitcode) {
  switch (exitcode) {
    case lock_broken:
    case -SIGSEGV:
    case -SIGBUS:
    case -SIGABRT:
    case -SIGILL:
    case -SIGFPE:
      return true;
    default:
      return false;
  }
}

/// Of those who serve, or whose children do.
Role role_of(const Options& options) {
  if (forks_children(options)) return Role::acceptor;
  if (options.mode == Mode::event) return Role::event_worker;
  return passes_connections(options) ? Role::passed_worker : Role::worker;
}

void run_process(const ProcessContext& context, SlotTable* slots) {
  switch (context.options.mode) {
    case Mode::fork:
      return run_acceptor(context, *slots);
    case Mode::event:
      return run_event_worker(context, slots);
    case Mode::pool:
      if (has_single_use_workers(context.options)) return run_acceptor(context, *slots);
      return run_pool_worker(context);
    case Mode::iterative:
      return run_pool_worker(context);
  }
}

}  // namespace

ProcessTree::ProcessTree(std::shared_ptr<const Options> options,
                         std::span<const Listener> listeners, Elders elders)
    : options_(std::move(options)),
      listeners_(listeners),
      confinement_(options_->confinement),
      means_(*options_),
      seats_(options_, seat_count(*options_, mp::cpu_count()), means_.has_pipe()),
      adopted_(options_, seats_.pages()),
      elders_(std::move(elders)) {}

std::span<const Listener> ProcessTree::listeners_of(const Seat& seat) const {
  if (!has_listeners_of_their_own(*options_)) return listeners_;
  const std::size_t each = options_->listen.size();
  return listeners_.subspan(seats_.index_of(seat) * each, each);
}

void ProcessTree::start(unsigned taken) {
  taken_ = taken;
  spawn(is_sized() ? std::min(options_->pool.start, places()) : places());
  keep_passing();
}

void ProcessTree::tell_of_lies(const Seat& seat) const {
  if (seat.book.lies() == 0) return;
  log::error(
      "{} {} wrote figures into its books that cannot be; they were left out of the totals (a bug, "
      "or an attack: see its end above)",
      kind_of(seat), seat.pid);
}

void ProcessTree::spawn(unsigned count) {
  for (; count > 0; --count) {
    Seat* seat = seats_.find_free();
    if (seat == nullptr || seated() >= places() || !may_start()) return;
    occupy(*seat);
  }
}

void ProcessTree::occupy(Seat& seat) {
  try {
    if (keeps_slots()) seat.slots = std::make_unique<SlotTable>(child_limit(*options_));
    start_process(seat);
  } catch (const std::exception& error) {  // no process, no memory
    seat.process.reset();
    seat.slots.reset();
    pause_.after_refusal(sys::Clock::now());
    log::error("cannot start a {}: {} (see ulimit -u, memory, and the cgroup's pids)",
               kind_of(seat), error.what());
    return;
  }
  if (seat.slots) seat.slots->keep_from_children();  // from all but this one
  seat.pid = *seat.process->pid();
  seat.retiring = false;
  seat.evict_at = sys::Deadline::never();
  seat.started = sys::Clock::now();
  seat.book = BelievedBook(most_open(*options_));
  if (!forks_children() && !seat.passes) ++closed_.forked;
}

void ProcessTree::start_process(Seat& seat) {
  ProcessContext context{.options = *options_,
                         .listeners = listeners_of(seat),
                         .pages = *seats_.pages(),
                         .page_index = seats_.index_of(seat),
                         .peers = static_cast<unsigned>(seats_.size()),
                         .supervisor = getpid(),
                         .elders = elders_,
                         .grown = grown_,
                         .confinement = &confinement_};
  means_.equip(context, seat.passes);
  seat.process.emplace([context, slots = seat.slots.get(), passes = seat.passes] {
    passes ? run_passer(context) : run_process(context, slots);
  });
  seat.process->detach();  // it dies with the supervisor by itself (settle_in)
  seat.process->keep_signals_blocked();
  seat.process->keep_stdin();  // nobody reads it, and a single-use worker starts the faster
  seat.process->start();
}

bool ProcessTree::take_ended(pid_t pid) {
  Seat* seat = seats_.of(pid);
  if (seat == nullptr) return adopted_.take_ended(pid);
  if (const auto exit = mp::reap_one(pid).exit) on_end(*seat, *exit);
  return true;
}

void ProcessTree::reap() {
  while (const auto ended = mp::peek_ended()) {
    if (!take_ended(ended->pid)) mp::reap_one(ended->pid);
  }
}

void ProcessTree::on_end(Seat& seat, const mp::Exit& exit) {
  // He is gone, whatever there is no memory for: a seat that seems taken would stay empty.
  const Vacated vacated(seat);
  note_failure(seat, exit);
  close_book(seat);
  if (means_.has_lock() && may_have_written_anywhere(exit.exitcode))
    renew_lock("a worker crashed, and may have written over it");
  if (exit.exitcode == planned_end && !seat.retiring && !retired_) ++to_replace_;
}

void ProcessTree::close_book(Seat& seat) {
  ProcessPage& page = seats_.page_of(seat);
  settle_journal(page);
  const BookTotals book = seats_.book_of(seat);
  tell_of_lies(seat);
  closed_ += book;
  const pid_t half_reaped = settle_reaping(page.reaping, book);
  if (forks_children()) {
    adopted_.adopt({.group = seat.pid,
                    .open = book.active(),
                    .unreaped = book.forked - book.reaped,
                    .booked = half_reaped,
                    .slots = std::move(seat.slots)});
  } else {
    closed_.crashed += book.active();
    if (!seat.passes) ++closed_.reaped;
    write_lost_connections(book.active(), seat.slots ? seat.slots->all() : std::span(&page.slot, 1),
                           AccessRole::worker, page.journal.meter_before);
    seat.slots.reset();
  }
  // Only now, when whom it leaves is counted elsewhere: others decide by what they see.
  auto& sources = seats_.pages()->admission.sources;
  if (sources) sources->clear(seats_.index_of(seat));
  std::destroy_at(&page);
  std::construct_at(&page);
}

/// The child that a dead acceptor had booked, and perhaps not reaped; 0 when there is none. What it
/// had begun to book is undone: the child is ours to book.
pid_t ProcessTree::settle_reaping(const Reaping& reaping, const BookTotals& book) {
  const pid_t pid = reaping.pid.load(std::memory_order_acquire);
  if (pid == 0) return 0;
  if (book.ended() > reaping.ended.get()) return pid;
  // What a process gone wrong has written is no reason to have less than nothing.
  closed_.bytes_in -= book.bytes_in - std::min(book.bytes_in, reaping.bytes_in.get());
  closed_.bytes_out -= book.bytes_out - std::min(book.bytes_out, reaping.bytes_out.get());
  return 0;
}

void ProcessTree::note_failure(const Seat& seat, const mp::Exit& exit) {
  if (exit.exitcode == planned_end || killing_) return pause_.after_life();
  const std::string end = describe_end(exit.exitcode);
  if (seats_.has_proved_itself(seat) || retired_ || seat.retiring) {
    pause_.after_life();
    log::warning("{} {} {}; {}", kind_of(seat), seat.pid, end,
                 retired_ || seat.retiring ? "it was to leave anyway" : "it is replaced");
    return;
  }
  const auto pause = pause_.after_early_end({.exitcode = exit.exitcode,
                                             .others_are_well = seats_.others_are_well(seat),
                                             .started = seat.started},
                                            sys::Clock::now());
  if (pause == Backoff::Seconds::zero()) return;
  log::error(
      "{} {} {} before its first connection; the next start is in {} s (see the lines above, "
      "memory and ulimit)",
      kind_of(seat), seat.pid, end, pause.count());
}

void ProcessTree::maintain(unsigned taken) {
  taken_ = taken;
  adopted_.look_after();
  if (retired_) {
    // Again: a worker's may have come between its check and its wait.
    tell(SIGUSR1, 0);
    empty_pipe();
    return;
  }
  is_sized() ? resize_pool() : replace_dead();
  keep_passing();
  watch_for_stall();
}

void ProcessTree::replace_dead() {
  const unsigned wanted = places();
  const unsigned there = seated();
  if (there < wanted) spawn(wanted - there);
}

void ProcessTree::retire_all() {
  retired_ = true;
  tell(SIGUSR1, 0);
}

void ProcessTree::stop_waiting_for_doors() {
  seats_.pages()->all().back().door.store(Door::shut, std::memory_order_release);
}

bool ProcessTree::is_ready() const {
  // A worker of a single use may have come and gone already.
  return places() == 0 || totals().accepted > 0 ||
         std::ranges::any_of(seats_.all(), [this](const Seat& s) { return seats_.is_open(s); });
}

bool ProcessTree::still_accepts() const {
  return std::ranges::any_of(seats_.all(), [this](const Seat& seat) {
    // Whoever serves one connection hears of retiring before it looks for the next.
    return seats_.is_open(seat) && !(serves_one_each(*options_) && seats_.is_serving(seat));
  });
}

void ProcessTree::forget_elder(const std::shared_ptr<GenerationPages>& pages) {
  std::erase(elders_, pages);
}

bool ProcessTree::somebody_waits() const {
  return std::any_of(listeners_.begin(), listeners_.end(),
                     [](const Listener& l) { return l.has_waiting_client(); });
}

void ProcessTree::maintain_drain(unsigned taken) {
  taken_ = taken;
  adopted_.look_after();
  empty_pipe();
  if (retired_ || !somebody_waits()) return;
  if (has_listeners_of_their_own(*options_)) return empty_own_queues();
  if (means_.has_pipe()) return keep_passing();
  const PoolState state = pool_state();
  const bool will_be_served = is_sized() ? state.idle > 0 : seated() > 0;
  const bool stalls =
      is_sized() &&
      stall_.look(
          {.clients_wait = true, .somebody_is_free = state.idle > 0, .accepted = totals().accepted},
          sys::Clock::now());
  if (!will_be_served || stalls) spawn(1);
}

/// Each is emptied by whoever has it.
void ProcessTree::empty_own_queues() {
  for (Seat& seat : seats_.all()) {
    const auto queues = listeners_of(seat);
    const bool needed =
        seat.pid == 0 && std::any_of(queues.begin(), queues.end(),
                                     [](const Listener& l) { return l.has_waiting_client(); });
    if (needed && may_start()) occupy(seat);
  }
}

void ProcessTree::tell(int signal, int adopted_signal) {
  // Workers would leave an acceptor alone with those whom it has yet to pass on.
  const bool workers_stay = (signal == SIGUSR1 || signal == SIGTERM) && means_.has_pipe() &&
                            (seats_.passer().pid != 0 || means_.somebody_in_pipe());
  for (const Seat& seat : seats_.all()) {
    if (seat.pid != 0 && (seat.passes || !workers_stay)) kill(seat.pid, signal);
  }
  if (adopted_signal != 0) adopted_.tell(adopted_signal);
}

void ProcessTree::kill_all() {
  killing_ = true;
  for (const Seat& seat : seats_.all()) {
    if (seat.pid == 0) continue;
    kill(-seat.pid, SIGKILL);
    kill(seat.pid, SIGKILL);  // it may not have made its group yet
  }
  adopted_.tell(SIGKILL);
  adopted_.look_after();
}

bool ProcessTree::empty() const {
  return seats_.nobody_sits() && adopted_.empty() && (killing_ || !means_.somebody_in_pipe());
}

BookTotals ProcessTree::totals() const {
  BookTotals totals = closed_;
  totals += adopted_.booked();
  totals += seats_.totals();
  return totals;
}

ChildCounts ProcessTree::children() const {
  const BookTotals all = totals();
  const std::uint64_t alive = all.forked - all.reaped;
  const std::uint64_t busy = forks_children() ? alive - std::min(alive, idle_children())
                                              : std::min<std::uint64_t>(seats_.busy(), alive);
  return {.forked = all.forked, .reaped = all.reaped, .idle = alive - busy, .busy = busy};
}

/// Of those that were forked ahead; by what they say.
std::uint64_t ProcessTree::idle_children() const {
  if (!is_pool()) return 0;
  std::uint64_t idle = 0;
  visit_slots(~std::uint64_t{0}, [&idle](const Slot& slot) {
    idle += slot.state.load(std::memory_order_relaxed) == SlotState::idle;
  });
  return idle;
}

std::uint64_t ProcessTree::visit_slots(std::uint64_t most,
                                       const std::function<void(const Slot&)>& visit) const {
  std::uint64_t shown = 0;
  const auto count = [&](const Slot& slot) {
    ++shown;
    visit(slot);
  };
  const std::uint64_t omitted = seats_.visit_slots(most, count);
  return omitted + adopted_.visit_slots(most - shown, count);
}

ConfinementStatus ProcessTree::confinement_status() const {
  return server::confinement_status(confinement_, role_of(*options_), seats_.someone_who_serves());
}

void ProcessTree::make_memory_read_only() {
  GenerationPages& pages = *seats_.pages();
  protect(pages.admission, std::nullopt);
  pages.memory().make_read_only(0, pages.memory().size());  // slots are not there any more
}

bool ProcessTree::is_busy() const {
  if (!is_sized()) return !may_start();
  const PoolState state = pool_state();
  return state.busy > 0 || state.retiring > 0 || state.idle < sizes().min_spare ||
         state.idle > sizes().max_spare;
}

}  // namespace forkecho::server
