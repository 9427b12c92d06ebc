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
  if (has_single_use_workers(options)) return 1;
  const std::size_t most = std::min<std::size_t>(options.pool.max, options.max_connections);
  // One more, to find all the others busy and turn its client away.
  return options.when_full == WhenFull::refuse ? most + 1 : most;
}

const char* kind_of(Mode mode) {
  return mode == Mode::fork ? "acceptor" : "worker";
}

void run_process(const ProcessContext& context, mp::RawArray<Slot>* slots) {
  switch (context.options.mode) {
    case Mode::fork:
      return run_acceptor(context, *slots);
    case Mode::event:
      return run_event_worker(context);
    case Mode::pool:
      if (has_single_use_workers(context.options)) return run_acceptor(context, *slots);
      return run_pool_worker(context);
    case Mode::iterative:
      return run_pool_worker(context);
  }
}

}  // namespace

ProcessTree::ProcessTree(const Options& options, std::span<const Listener> listeners)
    : options_(options),
      listeners_(listeners),
      seats_(seat_count(options)),
      pages_(seats_.size()),
      not_before_(sys::Deadline::after(sys::Duration::zero())) {}

std::size_t ProcessTree::child_limit() const {
  return options_.mode == Mode::fork
             ? options_.max_connections
             : std::min<std::size_t>(options_.pool.max, options_.max_connections);
}

PoolSizes ProcessTree::sizes() const {
  PoolSizes sizes = options_.pool;
  sizes.max = static_cast<unsigned>(seats_.size());
  sizes.min_spare = std::min(sizes.min_spare, sizes.max);
  sizes.max_spare = std::max(sizes.max_spare, sizes.min_spare);
  return sizes;
}

void ProcessTree::start() {
  spawn(is_sized() ? std::min(options_.pool.start, static_cast<unsigned>(seats_.size()))
                   : static_cast<unsigned>(seats_.size()));
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
  return pages_[index_of(seat)].slot.state.load(std::memory_order_acquire) == SlotState::serving;
}

void ProcessTree::spawn(unsigned count) {
  for (; count > 0; --count) {
    Seat* seat = free_seat();
    if (seat == nullptr || !not_before_.passed()) return;
    occupy(*seat);
  }
}

void ProcessTree::occupy(Seat& seat) {
  if (forks_children()) seat.slots = std::make_unique<mp::RawArray<Slot>>(child_limit());
  const ProcessContext context{.options = options_,
                               .listeners = listeners_,
                               .pages = pages_,
                               .page_index = index_of(seat),
                               .peers = static_cast<unsigned>(seats_.size()),
                               .supervisor = getpid()};
  seat.process.emplace([context, slots = seat.slots.get()] { run_process(context, slots); });
  seat.process->detach();  // it dies with the supervisor by itself (settle_in)
  seat.process->keep_signals_blocked();
  seat.process->keep_stdin();  // nobody reads it, and a single-use worker starts the faster
  try {
    seat.process->start();
  } catch (const std::system_error& error) {
    seat.process.reset();
    not_before_ = sys::Deadline::after(backoff_.after({}));
    log::error("cannot start a {}: {} (see ulimit -u, memory, and the cgroup's pids)",
               kind_of(options_.mode), error.what());
    return;
  }
  seat.pid = *seat.process->pid();
  seat.retiring = false;
  seat.started = sys::Clock::now();
  if (!forks_children()) ++closed_.forked;
}

void ProcessTree::reap() {
  while (const auto pid = mp::peek_ended()) {
    if (Seat* seat = seat_of(*pid)) {
      if (const auto exit = mp::reap_one(*pid).exit) on_end(*seat, *exit);
      continue;
    }
    reap_orphans();
    // Neither ours nor an acceptor's: as process 1 one inherits strangers, too.
    if (mp::peek_ended() == pid) mp::reap_one(*pid);
  }
}

void ProcessTree::on_end(Seat& seat, const mp::Exit& exit) {
  note_failure(seat, exit);
  close_book(seat);
  if (exit.exitcode == planned_end && !seat.retiring) ++to_replace_;
  seat.process.reset();
  seat.pid = 0;
  seat.retiring = false;
}

void ProcessTree::close_book(Seat& seat) {
  ProcessPage& page = pages_[index_of(seat)];
  const BookTotals book = read_page(page);
  closed_ += book;
  if (forks_children()) {
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

/// It has had a client; or lived as long as the first pause would be, and cannot make us spin.
bool ProcessTree::has_proved_itself(const Seat& seat) const {
  return pages_[index_of(seat)].book.accepted.get() > 0 ||
         sys::Clock::now() - seat.started >= Backoff::first;
}

void ProcessTree::note_failure(const Seat& seat, const mp::Exit& exit) {
  if (exit.exitcode == planned_end || killing_) {
    backoff_.succeeded();
    return;
  }
  if (has_proved_itself(seat)) {
    backoff_.succeeded();
    log::warning("{} {} {}; it is replaced", kind_of(options_.mode), seat.pid,
                 describe_end(exit.exitcode));
    return;
  }
  const auto pause = backoff_.after({.killed = exit.exitcode == -SIGKILL,
                                     .others_are_well = others_are_well(seat),
                                     .started_before_last = seat.started < last_early_death_});
  last_early_death_ = sys::Clock::now();
  if (pause == Backoff::Seconds::zero()) return;
  not_before_ = sys::Deadline::after(pause);
  log::error(
      "{} {} {} before its first connection; the next start is in {} s (see the lines above, "
      "memory and ulimit)",
      kind_of(options_.mode), seat.pid, describe_end(exit.exitcode), pause.count());
}

bool ProcessTree::others_are_well(const Seat& dead) const {
  return std::any_of(seats_.begin(), seats_.end(), [&](const Seat& seat) {
    return &seat != &dead && seat.pid != 0 && has_proved_itself(seat);
  });
}

/// Whom a dead acceptor had forked ahead: they know it, and this is for those who were just about
/// to wait. Those who serve do not mind.
void ProcessTree::dismiss_orphaned_spares() const {
  if (!has_single_use_workers(options_)) return;
  for (const Orphans& orphans : orphans_) kill(-orphans.group, SIGUSR1);
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
}

void ProcessTree::on_orphan_end(Orphans& orphans, const mp::Exit& exit) {
  bool said_so = !has_single_use_workers(options_);
  for (Slot& slot : orphans.slots->all()) {
    if (slot.pid.load(std::memory_order_relaxed) != exit.pid) continue;
    closed_.bytes_in += slot.meter.bytes_in.get();
    closed_.bytes_out += slot.meter.bytes_out.get();
    said_so = slot.state.load(std::memory_order_acquire) == SlotState::serving;
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    slot.pid.store(0, std::memory_order_relaxed);
    break;
  }
  if (had_client(exit.exitcode, said_so)) {
    // Of one that was forked ahead, and took its client after its acceptor's last look.
    if (orphans.open == 0 && has_single_use_workers(options_)) {
      ++closed_.accepted;
      ++orphans.open;
    }
    if (orphans.open > 0) {
      --orphans.open;
      closed_.add_ending(ending_of_exitcode(exit.exitcode));
    }
  }
  if (orphans.unreaped > 0) {
    --orphans.unreaped;
    ++closed_.reaped;
  }
}

void ProcessTree::maintain() {
  dismiss_orphaned_spares();
  if (is_sized()) {
    resize_pool();
  } else {
    replace_dead();
  }
}

void ProcessTree::replace_dead() {
  spawn(static_cast<unsigned>(seats_.size()) - seated());
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

void ProcessTree::maintain_drain() {
  dismiss_orphaned_spares();
  const bool somebody_waits = std::any_of(listeners_.begin(), listeners_.end(),
                                          [](const Listener& l) { return l.has_waiting_client(); });
  if (!somebody_waits) return;
  const PoolState state = pool_state();
  const bool will_be_served = is_sized() ? state.idle > 0 : seated() > 0;
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
    if (seat.pid != 0) totals += read_page(pages_[index_of(seat)]);
  }
  return totals;
}

namespace {

/// `idle` is what others say, and bounded by what is known.
ChildCounts split(const BookTotals& all, std::uint64_t idle) {
  const std::uint64_t alive = all.forked - all.reaped;
  idle = std::min(idle, alive);
  return {.forked = all.forked, .reaped = all.reaped, .idle = idle, .busy = alive - idle};
}

}  // namespace

ChildCounts ProcessTree::children() const {
  const BookTotals all = totals();
  const std::uint64_t alive = all.forked - all.reaped;
  if (forks_children()) return split(all, idle_children());
  std::uint64_t busy = 0;
  for (const Seat& seat : seats_) busy += seat.pid != 0 && is_serving(seat);
  return split(all, alive - std::min(busy, alive));
}

/// Of those that were forked ahead.
std::uint64_t ProcessTree::idle_children() const {
  std::uint64_t idle = 0;
  for_each_slot([&idle](const Slot& slot) {
    idle += slot.state.load(std::memory_order_relaxed) == SlotState::idle;
  });
  return idle;
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
    if (seat.pid != 0 && !forks_children()) visit(pages_[index_of(seat)].slot);
  }
  for (const Orphans& orphans : orphans_) visit_used(orphans.slots.get());
}

bool ProcessTree::is_busy() const {
  if (!is_sized()) return !not_before_.passed();
  const PoolState state = pool_state();
  return state.busy > 0 || state.retiring > 0 || state.idle < sizes().min_spare ||
         state.idle > sizes().max_spare;
}

}  // namespace forkecho::server
