#include "server/process_tree.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "common/log/log.h"
#include "common/mp/cpu_count.h"
#include "server/acceptor.h"
#include "server/event_worker.h"
#include "server/pool_worker.h"

namespace forkecho::server {
namespace {

/// How many seats there are: the most processes of the mode's kind that may ever be alive at once.
std::size_t seat_count(const Options& options) {
  switch (options.mode) {
    case Mode::iterative:
    case Mode::fork:
      return 1;
    case Mode::event:
      return mp::cpu_count();
    case Mode::pool:
      break;
  }
  const std::size_t most = std::min<std::size_t>(options.pool.max, options.max_connections);
  // One more, to find all the others busy and turn its client away.
  return options.when_full == WhenFull::refuse ? most + 1 : most;
}

const char* kind_of(Mode mode) {
  return mode == Mode::fork ? "acceptor" : "worker";
}

std::string describe(const mp::Exit& exit) {
  return exit.exitcode < 0 ? "was ended by signal " + std::to_string(-exit.exitcode)
                           : "ended with exit code " + std::to_string(exit.exitcode);
}

void run_process(const ProcessContext& context, mp::RawArray<Slot>* slots) {
  switch (context.options.mode) {
    case Mode::fork:
      return run_acceptor(context, *slots);
    case Mode::event:
      return run_event_worker(context);
    case Mode::iterative:
    case Mode::pool:
      return run_pool_worker(context);
  }
}

}  // namespace

ProcessTree::ProcessTree(std::shared_ptr<const Options> options,
                         std::span<const Listener> listeners, Elders elders)
    : options_(std::move(options)),
      listeners_(listeners),
      seats_(seat_count(*options_)),
      pages_(std::make_shared<GenerationPages>(seats_.size() + 1)),
      elders_(std::move(elders)),
      not_before_(sys::Deadline::after(sys::Duration::zero())) {}

/// How many may sit here now: an older tree's connections count where each has a process.
unsigned ProcessTree::places() const {
  const auto all = static_cast<unsigned>(seats_.size());
  return serves_one_each() ? all - std::min(taken_, all) : all;
}

PoolSizes ProcessTree::sizes() const {
  PoolSizes sizes = options_->pool;
  sizes.max = places();
  sizes.min_spare = std::min(sizes.min_spare, sizes.max);
  sizes.max_spare = std::max(sizes.max_spare, sizes.min_spare);
  return sizes;
}

void ProcessTree::start(unsigned taken) {
  taken_ = taken;
  spawn(is_pool() ? std::min(options_->pool.start, places()) : places());
}

ProcessTree::Seat* ProcessTree::seat_of(pid_t pid) {
  const auto found =
      std::find_if(seats_.begin(), seats_.end(), [pid](const Seat& s) { return s.pid == pid; });
  return found == seats_.end() ? nullptr : &*found;
}

ProcessTree::Seat* ProcessTree::free_seat() {
  return seat_of(0);
}

unsigned ProcessTree::seated() const {
  return static_cast<unsigned>(
      std::count_if(seats_.begin(), seats_.end(), [](const Seat& s) { return s.pid != 0; }));
}

bool ProcessTree::is_serving(const Seat& seat) const {
  return page_of(seat).slot.state.load(std::memory_order_acquire) == SlotState::serving;
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
    if (options_->mode == Mode::fork)
      seat.slots = std::make_unique<mp::RawArray<Slot>>(options_->max_connections);
    start_process(seat);
  } catch (const std::exception& error) {
    seat.process.reset();
    not_before_ = sys::Deadline::after(backoff_.failed());
    log::error("cannot start a {}: {} (see ulimit -u, memory, and the cgroup's pids)",
               kind_of(options_->mode), error.what());
    return;
  }
  if (seat.slots) seat.slots->memory().keep_from_children();  // from all but this one
  seat.pid = *seat.process->pid();
  seat.retiring = false;
  seat.started = sys::Clock::now();
  if (options_->mode != Mode::fork) ++closed_.forked;
}

void ProcessTree::start_process(Seat& seat) {
  const ProcessContext context{.options = *options_,
                               .listeners = listeners_,
                               .pages = *pages_,
                               .page_index = index_of(seat),
                               .peers = static_cast<unsigned>(seats_.size()),
                               .supervisor = getpid(),
                               .elders = elders_};
  seat.process.emplace([context, slots = seat.slots.get()] { run_process(context, slots); });
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
  reap_orphans();
  return mp::peek_ended() != pid;
}

void ProcessTree::reap() {
  while (const auto pid = mp::peek_ended()) {
    if (!take_ended(*pid)) mp::reap_one(*pid);
  }
}

void ProcessTree::on_end(Seat& seat, const mp::Exit& exit) {
  const BookTotals book = read_page(page_of(seat));
  // One that lived as long as the first pause would be cannot make us spin.
  const bool lived_long = sys::Clock::now() - seat.started >= Backoff::first;
  note_failure(seat, exit, book.accepted > 0 || lived_long);
  close_book(seat);
  if (exit.exitcode == planned_end && !seat.retiring && !retired_) ++to_replace_;
  seat.process.reset();
  seat.pid = 0;
  seat.retiring = false;
}

void ProcessTree::close_book(Seat& seat) {
  ProcessPage& page = page_of(seat);
  const BookTotals book = read_page(page);
  closed_ += book;
  if (options_->mode == Mode::fork) {
    orphans_.push_back({.group = seat.pid,
                        .open = book.active(),
                        .unreaped = book.forked - book.reaped,
                        .slots = std::move(seat.slots)});
    reap_orphans();
  } else {
    closed_.crashed += book.active();
    ++closed_.reaped;
  }
  std::destroy_at(&page);
  std::construct_at(&page);
}

void ProcessTree::note_failure(const Seat& seat, const mp::Exit& exit, bool has_proved_itself) {
  if (exit.exitcode == planned_end || killing_) {
    backoff_.succeeded();
    return;
  }
  if (has_proved_itself || retired_) {
    backoff_.succeeded();
    log::warning("{} {} {}; {}", kind_of(options_->mode), seat.pid, describe(exit),
                 retired_ ? "it was to leave anyway" : "it is replaced");
    return;
  }
  // Started before the pause began: the same misfortune, and no reason for a longer one.
  if (!not_before_.passed()) return;
  const auto pause = backoff_.failed(exit.exitcode < 0);
  not_before_ = sys::Deadline::after(pause);
  log::error(
      "{} {} {} before its first connection; the next start is in {} s (see the lines above, "
      "memory and ulimit)",
      kind_of(options_->mode), seat.pid, describe(exit), pause.count());
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
        closed_.reaped += orphans.unreaped;
        return true;
      } else {
        return false;
      }
    }
  });
  publish_adopted();
}

/// Others see in our page what no living acceptor's page shows.
void ProcessTree::publish_adopted() {
  std::uint64_t open = 0;
  for (const Orphans& orphans : orphans_) open += orphans.open;
  own_page().book.accepted.set(open);
}

void ProcessTree::on_orphan_end(Orphans& orphans, const mp::Exit& exit) {
  for (Slot& slot : orphans.slots->all()) {
    if (slot.pid.load(std::memory_order_relaxed) != exit.pid) continue;
    closed_.bytes_in += slot.meter.bytes_in.get();
    closed_.bytes_out += slot.meter.bytes_out.get();
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    slot.pid.store(0, std::memory_order_relaxed);
    break;
  }
  if (orphans.open > 0) {
    --orphans.open;
    closed_.add_ending(ending_of_exitcode(exit.exitcode));
  }
  if (orphans.unreaped > 0) {
    --orphans.unreaped;
    ++closed_.reaped;
  }
}

void ProcessTree::maintain(unsigned taken) {
  taken_ = taken;
  if (retired_) {
    // Again: a worker's may have come between its check and its wait.
    tell(SIGUSR1, 0);
  } else if (is_pool()) {
    resize_pool();
  } else {
    replace_dead();
  }
}

void ProcessTree::replace_dead() {
  const unsigned wanted = places();
  const unsigned there = seated();
  if (there < wanted) spawn(wanted - there);
}

PoolState ProcessTree::pool_state() const {
  PoolState state{.idle = 0, .busy = 0, .retiring = 0, .replace = to_replace_, .burst = burst_};
  for (const Seat& seat : seats_) {
    if (seat.pid == 0) continue;
    ++(seat.retiring ? state.retiring : is_serving(seat) ? state.busy : state.idle);
  }
  return state;
}

void ProcessTree::resize_pool() {
  for (const Seat& seat : seats_) {
    if (seat.retiring)
      kill(seat.pid, SIGUSR1);  // again: the first may have come between check and wait
  }
  const PoolDecision decision = decide_pool_size(pool_state(), sizes());
  to_replace_ = 0;
  burst_ = decision.next_burst;
  spawn(decision.spawn);
  if (decision.retire > 0) retire_one();
}

void ProcessTree::retire_one() {
  const auto idle = std::find_if(seats_.rbegin(), seats_.rend(), [this](const Seat& seat) {
    return seat.pid != 0 && !seat.retiring && !is_serving(seat);
  });
  if (idle == seats_.rend()) return;
  idle->retiring = true;
  kill(idle->pid, SIGUSR1);
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

void ProcessTree::maintain_drain(unsigned taken) {
  taken_ = taken;
  if (retired_) return;
  const bool somebody_waits = std::any_of(listeners_.begin(), listeners_.end(),
                                          [](const Listener& l) { return l.has_waiting_client(); });
  if (!somebody_waits) return;
  const PoolState state = pool_state();
  const bool will_be_served = is_pool() ? state.idle > 0 : seated() > 0;
  if (!will_be_served) spawn(1);
}

void ProcessTree::tell(int signal, int orphans_signal) {
  for (const Seat& seat : seats_) {
    if (seat.pid != 0) kill(seat.pid, signal);
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
}

bool ProcessTree::empty() const {
  return seated() == 0 && orphans_.empty();
}

BookTotals ProcessTree::totals() const {
  BookTotals totals = closed_;
  for (const Seat& seat : seats_) {
    if (seat.pid != 0) totals += read_page(page_of(seat));
  }
  return totals;
}

ChildCounts ProcessTree::children() const {
  const BookTotals all = totals();
  const std::uint64_t alive = all.forked - all.reaped;
  if (options_->mode == Mode::fork)
    return {.forked = all.forked, .reaped = all.reaped, .idle = 0, .busy = alive};
  std::uint64_t busy = 0;
  for (const Seat& seat : seats_) busy += seat.pid != 0 && is_serving(seat);
  busy = std::min(busy, alive);
  return {.forked = all.forked, .reaped = all.reaped, .idle = alive - busy, .busy = busy};
}

void ProcessTree::for_each_slot(const std::function<void(const Slot&)>& visit) const {
  const auto visit_used = [&visit](const mp::RawArray<Slot>* slots) {
    if (slots == nullptr) return;
    for (const Slot& slot : slots->all()) {
      if (slot.state.load(std::memory_order_acquire) != SlotState::free) visit(slot);
    }
  };
  for (const Seat& seat : seats_) {
    visit_used(seat.slots.get());
    if (seat.pid != 0 && options_->mode != Mode::fork) visit(page_of(seat).slot);
  }
  for (const Orphans& orphans : orphans_) visit_used(orphans.slots.get());
}

bool ProcessTree::is_busy() const {
  if (!is_pool()) return !not_before_.passed();
  const PoolState state = pool_state();
  return state.busy > 0 || state.retiring > 0 || state.idle < sizes().min_spare ||
         state.idle > sizes().max_spare;
}

}  // namespace forkecho::server
