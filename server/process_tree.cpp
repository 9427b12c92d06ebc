#include "server/process_tree.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <unordered_set>

#include "common/log/log.h"
#include "common/mp/cpu_count.h"
#include "server/acceptor.h"
#include "server/access_log.h"
#include "server/event_worker.h"
#include "server/passer.h"
#include "server/pool_worker.h"

namespace forkecho::server {
namespace {

/// How many seats there are: the most processes of the mode's kind that may ever be alive at once.
std::size_t seat_count(const Options& options) {
  switch (options.mode) {
    case Mode::iterative:
      return 1;
    case Mode::fork:
      return options.acceptors;
    case Mode::event:
      return mp::cpu_count();
    case Mode::pool:
      break;
  }
  if (has_single_use_workers(options)) return 1;
  if (has_listeners_of_their_own(options)) return options.pool.start;
  const std::size_t most = std::min<std::size_t>(options.pool.max, options.max_connections);
  // One more, to find all the others busy and turn its client away.
  return options.when_full == WhenFull::refuse ? most + 1 : most;
}

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

/// Connections that one process may have open, with some that it has just accepted.
std::uint64_t most_open(const Options& options) {
  return options.max_connections + 64U;
}

/// After the system refused a process to the supervisor.
constexpr auto refused_pause = std::chrono::seconds(1);

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
      seats_(seat_count(*options_) + (means_.has_pipe() ? 1 : 0)),
      pages_(std::make_shared<GenerationPages>(seats_.size() + 1, *options_)),
      elders_(std::move(elders)),
      not_before_(sys::Deadline::after(sys::Duration::zero())) {
  seats_.back().passes = means_.has_pipe();
}

/// How many may sit here now and serve: an older tree's connections count where each has a process,
/// unless each of ours has a queue to empty.
unsigned ProcessTree::places() const {
  const auto all = static_cast<unsigned>(seats_.size() - (means_.has_pipe() ? 1 : 0));
  const bool shares = serves_one_each() && !has_listeners_of_their_own(*options_);
  return shares ? all - std::min(taken_, all) : all;
}

std::size_t ProcessTree::child_limit() const {
  return is_pool() ? std::min<std::size_t>(options_->pool.max, options_->max_connections)
                   : options_->max_connections;
}

std::span<const Listener> ProcessTree::listeners_of(const Seat& seat) const {
  if (!has_listeners_of_their_own(*options_)) return listeners_;
  const std::size_t each = options_->listen.size();
  return listeners_.subspan(index_of(seat) * each, each);
}

void ProcessTree::start(unsigned taken) {
  taken_ = taken;
  spawn(is_sized() ? std::min(options_->pool.start, places()) : places());
  keep_passing();
}

ProcessTree::Seat* ProcessTree::seat_of(pid_t pid) {
  const auto found =
      std::find_if(seats_.begin(), seats_.end(), [pid](const Seat& s) { return s.pid == pid; });
  return found == seats_.end() ? nullptr : &*found;
}

ProcessTree::Seat* ProcessTree::free_seat() {
  const auto found = std::find_if(seats_.begin(), seats_.end(),
                                  [](const Seat& s) { return s.pid == 0 && !s.passes; });
  return found == seats_.end() ? nullptr : &*found;
}

unsigned ProcessTree::seated() const {
  return static_cast<unsigned>(std::count_if(
      seats_.begin(), seats_.end(), [](const Seat& s) { return s.pid != 0 && !s.passes; }));
}

bool ProcessTree::is_serving(const Seat& seat) const {
  return page_of(seat).slot.state.load(std::memory_order_acquire) == SlotState::serving;
}

const BookTotals& ProcessTree::book_of(const Seat& seat) const {
  BookTotals claimed = read_page(page_of(seat));
  if (!forks_children()) claimed.forked = claimed.reaped = 0;  // those are ours to count
  return seat.book.look(claimed, sys::Clock::now());
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
    Seat* seat = free_seat();
    if (seat == nullptr || seated() >= places() || !not_before_.passed()) return;
    occupy(*seat);
  }
}

void ProcessTree::occupy(Seat& seat) {
  try {
    if (keeps_slots()) seat.slots = std::make_unique<SlotTable>(child_limit());
    start_process(seat);
  } catch (const std::exception& error) {  // no process, no memory
    seat.process.reset();
    seat.slots.reset();
    // Soon again, and with the same pause always: an attempt costs little, and clients wait.
    not_before_ = sys::Deadline::after(refused_pause);
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
                         .pages = *pages_,
                         .page_index = index_of(seat),
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
  if (Seat* seat = seat_of(pid)) {
    if (const auto exit = mp::reap_one(pid).exit) on_end(*seat, *exit);
    return true;
  }
  if (orphans_.empty()) return false;
  if (take_orphan(pid)) return true;
  reap_orphans();
  const auto next = mp::peek_ended();
  return !next || next->pid != pid;
}

/// By its group, which the kernel tells also of one that has ended: a look through all who have
/// been adopted costs more the more they are.
bool ProcessTree::take_orphan(pid_t pid) {
  const pid_t group = getpgid(pid);
  const auto found = std::find_if(orphans_.begin(), orphans_.end(),
                                  [group](const Orphans& o) { return o.group == group; });
  if (found == orphans_.end()) return false;
  if (const auto exit = mp::reap_one(pid).exit) on_orphan_end(*found, *exit);
  found->unreaped == 0 ? reap_orphans() : publish_adopted();
  return true;
}

void ProcessTree::reap() {
  while (const auto ended = mp::peek_ended()) {
    if (!take_ended(ended->pid)) mp::reap_one(ended->pid);
  }
}

void ProcessTree::on_end(Seat& seat, const mp::Exit& exit) {
  note_failure(seat, exit);
  close_book(seat);
  if (means_.has_lock() && may_have_written_anywhere(exit.exitcode))
    renew_lock("a worker crashed, and may have written over it");
  if (exit.exitcode == planned_end && !seat.retiring && !retired_) ++to_replace_;
  seat.process.reset();
  seat.pid = 0;
  seat.retiring = false;
}

void ProcessTree::close_book(Seat& seat) {
  ProcessPage& page = page_of(seat);
  settle_journal(page);
  const BookTotals book = book_of(seat);
  tell_of_lies(seat);
  closed_ += book;
  const pid_t half_reaped = settle_reaping(page.reaping, book);
  if (forks_children()) {
    orphans_.push_back({.group = seat.pid,
                        .open = book.active(),
                        .unreaped = book.forked - book.reaped,
                        .booked = half_reaped,
                        .slots = std::move(seat.slots),
                        .slot_of = {}});
    Orphans& orphans = orphans_.back();
    std::unordered_set<const Slot*> seen;
    orphans.slots->visit_used(~std::uint64_t{0}, [&](Slot& slot) {
      // Each once, also where the list of them was being changed.
      if (!seen.insert(&slot).second) return;
      orphans.slot_of.emplace(slot.pid.load(std::memory_order_relaxed), &slot);
      adopt_source(slot);
    });
    reap_orphans();
  } else {
    closed_.crashed += book.active();
    if (!seat.passes) ++closed_.reaped;
    write_lost_connections(book.active(), seat.slots ? seat.slots->all() : std::span(&page.slot, 1),
                           AccessRole::worker, page.journal.meter_before);
    seat.slots.reset();
  }
  // Only now, when whom it leaves is counted elsewhere: others decide by what they see.
  if (pages_->admission.sources) pages_->admission.sources->clear(index_of(seat));
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

/// It has had a client; or lived as long as the first pause would be, and cannot make us spin.
bool ProcessTree::has_proved_itself(const Seat& seat) const {
  return book_of(seat).accepted > 0 || page_of(seat).slot.connections.get() > 0 ||
         sys::Clock::now() - seat.started >= Backoff::first;
}

bool ProcessTree::others_are_well(const Seat& dead) const {
  return std::any_of(seats_.begin(), seats_.end(), [&](const Seat& seat) {
    return &seat != &dead && seat.passes == dead.passes && seat.pid != 0 && has_proved_itself(seat);
  });
}

void ProcessTree::note_failure(const Seat& seat, const mp::Exit& exit) {
  if (exit.exitcode == planned_end || killing_) {
    backoff_.succeeded();
    return;
  }
  const std::string end = describe_end(exit.exitcode);
  if (has_proved_itself(seat) || retired_ || seat.retiring) {
    backoff_.succeeded();
    log::warning("{} {} {}; {}", kind_of(seat), seat.pid, end,
                 retired_ || seat.retiring ? "it was to leave anyway" : "it is replaced");
    return;
  }
  // A lock that is none is as little its own fault as a signal from outside.
  const bool is_victim = exit.exitcode == -SIGKILL || exit.exitcode == lock_broken;
  const auto pause = backoff_.after({.killed = is_victim,
                                     .others_are_well = others_are_well(seat),
                                     .started_before_last = seat.started < last_early_death_});
  last_early_death_ = sys::Clock::now();
  if (pause == Backoff::Seconds::zero()) return;
  not_before_ = sys::Deadline::after(pause);
  log::error(
      "{} {} {} before its first connection; the next start is in {} s (see the lines above, "
      "memory and ulimit)",
      kind_of(seat), seat.pid, end, pause.count());
}

void ProcessTree::reap_orphans() {
  std::erase_if(orphans_, [this](Orphans& orphans) {
    for (;;) {
      const mp::Reaped reaped = mp::reap_group(orphans.group);
      if (reaped.exit) {
        on_orphan_end(orphans, *reaped.exit);
      } else if (reaped.none_left) {
        // What is open still had no process any more when its acceptor died.
        closed_.crashed += orphans.open;
        write_lost_connections(orphans.open, orphans.slots->all(), AccessRole::child);
        closed_.reaped += orphans.unreaped;
        for (const auto& [pid, slot] : orphans.slot_of) {
          if (slot->state.load(std::memory_order_relaxed) != SlotState::free) forget_source(*slot);
        }
        return true;
      } else {
        return false;
      }
    }
  });
  publish_adopted();
}

/// Who is left is the kernel's to say: a dead acceptor's books may have had more than there were.
/// Whom it had forked ahead know of its death, and are told for those who were just about to wait;
/// those who serve do not mind.
void ProcessTree::look_after_orphans() {
  if (!orphans_.empty()) reap_orphans();
  if (!has_single_use_workers(*options_)) return;
  for (const Orphans& orphans : orphans_) kill(-orphans.group, SIGUSR1);
}

/// Others see in our page what no living acceptor's page shows.
void ProcessTree::publish_adopted() {
  std::uint64_t open = 0;
  for (const Orphans& orphans : orphans_) open += orphans.open;
  own_page().book.accepted.set(open);
}

void ProcessTree::adopt_source(const Slot& slot) {
  auto& sources = pages_->admission.sources;
  if (!sources) return;
  const Source source = counted_source(slot.peer, options_->admission.exempt);
  if (source != Source::uncounted) sources->table(seats_.size()).add(source);
}

void ProcessTree::forget_source(const Slot& slot) {
  auto& sources = pages_->admission.sources;
  if (sources)
    sources->table(seats_.size()).remove(counted_source(slot.peer, options_->admission.exempt));
}

void ProcessTree::on_orphan_end(Orphans& orphans, const mp::Exit& exit) {
  const Ending ending = ending_of_exitcode(exit.exitcode);
  const bool is_booked = exit.pid == orphans.booked;
  bool said_so = !has_single_use_workers(*options_);
  AccessEntry entry = describe_arrival({}, AccessRole::child, outcome_of(ending));
  if (Slot* slot = slot_of(orphans, exit.pid)) {
    said_so = said_so || slot->state.load(std::memory_order_acquire) == SlotState::serving;
    entry = describe_connection(*slot, AccessRole::child, outcome_of(ending));
    forget_source(*slot);
    if (!is_booked) {
      closed_.bytes_in += believable_bytes(slot->meter.bytes_in.get());
      closed_.bytes_out += believable_bytes(slot->meter.bytes_out.get());
    }
    slot->state.store(SlotState::free, std::memory_order_relaxed);
    slot->pid.store(0, std::memory_order_relaxed);
  }
  if (!is_booked && had_client(exit.exitcode, said_so)) book_orphan(orphans, ending, entry);
  if (orphans.unreaped > 0) {
    --orphans.unreaped;
    ++closed_.reaped;
  }
}

/// By the note of the adoption; whoever was just being forked then has said since where it serves.
Slot* ProcessTree::slot_of(const Orphans& orphans, pid_t pid) {
  const auto is_of = [pid](const Slot& slot) {
    return slot.pid.load(std::memory_order_relaxed) == pid;
  };
  const auto noted = orphans.slot_of.find(pid);
  if (noted != orphans.slot_of.end() && is_of(*noted->second)) return noted->second;
  const auto all = orphans.slots->all();
  const auto found = std::find_if(all.begin(), all.end(), is_of);
  return found == all.end() ? nullptr : &*found;
}

void ProcessTree::book_orphan(Orphans& orphans, Ending ending, const AccessEntry& entry) {
  // Forked ahead, it took its client after its acceptor's last look.
  if (orphans.open == 0 && has_single_use_workers(*options_)) {
    ++closed_.accepted;
    ++orphans.open;
  }
  if (orphans.open == 0) return;
  --orphans.open;
  closed_.add_ending(ending);
  write_access_line(entry);
}

void ProcessTree::maintain(unsigned taken) {
  taken_ = taken;
  look_after_orphans();
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
  own_page().door.store(Door::shut, std::memory_order_release);
}

bool ProcessTree::is_open(const Seat& seat) const {
  return seat.pid != 0 && page_of(seat).door.load(std::memory_order_acquire) == Door::open;
}

bool ProcessTree::is_ready() const {
  // A worker of a single use may have come and gone already.
  return places() == 0 || totals().accepted > 0 ||
         std::any_of(seats_.begin(), seats_.end(), [this](const Seat& s) { return is_open(s); });
}

bool ProcessTree::still_accepts() const {
  return std::any_of(seats_.begin(), seats_.end(), [this](const Seat& seat) {
    // Whoever serves one connection hears of retiring before it looks for the next.
    return is_open(seat) && !(serves_one_each() && is_serving(seat));
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
  look_after_orphans();
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
  for (Seat& seat : seats_) {
    const auto queues = listeners_of(seat);
    const bool needed =
        seat.pid == 0 && std::any_of(queues.begin(), queues.end(),
                                     [](const Listener& l) { return l.has_waiting_client(); });
    if (needed && not_before_.passed()) occupy(seat);
  }
}

void ProcessTree::tell(int signal, int orphans_signal) {
  // Workers would leave an acceptor alone with those whom it has yet to pass on.
  const bool workers_stay = (signal == SIGUSR1 || signal == SIGTERM) && means_.has_pipe() &&
                            (seats_.back().pid != 0 || means_.somebody_in_pipe());
  for (const Seat& seat : seats_) {
    if (seat.pid != 0 && (seat.passes || !workers_stay)) kill(seat.pid, signal);
  }
  if (orphans_signal == 0) return;
  // A group in orphans_ has members, else reap_orphans had dropped it: its number is not another's.
  for (const Orphans& orphans : orphans_) kill(-orphans.group, orphans_signal);
}

void ProcessTree::kill_all() {
  killing_ = true;
  for (const Seat& seat : seats_) {
    if (seat.pid == 0) continue;
    kill(-seat.pid, SIGKILL);
    kill(seat.pid, SIGKILL);  // it may not have made its group yet
  }
  for (const Orphans& orphans : orphans_) kill(-orphans.group, SIGKILL);
  look_after_orphans();
}

bool ProcessTree::empty() const {
  const bool nobody_sits =
      std::all_of(seats_.begin(), seats_.end(), [](const Seat& s) { return s.pid == 0; });
  return nobody_sits && orphans_.empty() && (killing_ || !means_.somebody_in_pipe());
}

BookTotals ProcessTree::totals() const {
  BookTotals totals = closed_;
  for (const Seat& seat : seats_) {
    if (seat.pid != 0) totals += book_of(seat);
  }
  return totals;
}

ChildCounts ProcessTree::children() const {
  const BookTotals all = totals();
  const std::uint64_t alive = all.forked - all.reaped;
  std::uint64_t busy = 0;
  if (forks_children()) {
    busy = alive - std::min(alive, idle_children());
  } else {
    for (const Seat& seat : seats_) busy += seat.pid != 0 && is_serving(seat);
    busy = std::min(busy, alive);
  }
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

std::vector<std::uint64_t> ProcessTree::served_by_each() const {
  std::vector<std::uint64_t> served;
  if (forks_children()) return served;
  for (const Seat& seat : seats_) {
    if (seat.pid != 0 && !seat.passes) served.push_back(page_of(seat).slot.connections.get());
  }
  return served;
}

std::uint64_t ProcessTree::visit_slots(std::uint64_t most,
                                       const std::function<void(const Slot&)>& visit) const {
  std::uint64_t left = most;
  std::uint64_t omitted = 0;
  const auto show = [&](const Slot& slot) {
    if (left == 0) {
      ++omitted;
      return;
    }
    --left;
    visit(slot);
  };
  for (const Seat& seat : seats_) {
    if (seat.slots) omitted += seat.slots->visit_used(left, show);
    if (seat.pid != 0 && !forks_children() && !seat.passes) show(page_of(seat).slot);
  }
  for (const Orphans& orphans : orphans_) {
    const std::uint64_t before = left;
    const std::uint64_t rest = orphans.slots->visit_used(left, show);
    // Their list is nobody's to change any more: those who have ended since are still in it.
    const std::uint64_t shown = std::min(before - left, orphans.unreaped);
    omitted += std::min(rest, orphans.unreaped - shown);
  }
  return omitted;
}

std::vector<AcceptorView> ProcessTree::acceptors() const {
  std::vector<AcceptorView> views;
  if (!forks_children()) return views;
  for (const Seat& seat : seats_) {
    if (seat.pid == 0) continue;
    const BookTotals& book = book_of(seat);
    views.push_back({.number = static_cast<unsigned>(index_of(seat) + 1),
                     .pid = seat.pid,
                     .accepted = book.accepted,
                     .active = book.active(),
                     .children = book.forked - book.reaped});
  }
  return views;
}

ConfinementStatus ProcessTree::confinement_status() const {
  // Of one that serves; and has settled in, if there is one.
  pid_t shown = 0;
  for (const Seat& seat : seats_) {
    if (seat.pid == 0 || seat.passes) continue;
    if (shown == 0 || is_open(seat)) shown = seat.pid;
    if (is_open(seat)) break;
  }
  return server::confinement_status(confinement_, role_of(*options_), shown);
}

void ProcessTree::make_memory_read_only() {
  protect(pages_->admission, std::nullopt);
  pages_->memory().make_read_only(0, pages_->memory().size());  // slots are not there any more
}

bool ProcessTree::is_busy() const {
  if (!is_sized()) return !not_before_.passed();
  const PoolState state = pool_state();
  return state.busy > 0 || state.retiring > 0 || state.idle < sizes().min_spare ||
         state.idle > sizes().max_spare;
}

}  // namespace forkecho::server
