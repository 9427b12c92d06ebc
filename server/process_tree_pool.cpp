// The pool's part of the process tree: its size, and what keeps a process that lives and does
// nothing from stopping all the others.
#include <algorithm>
#include <csignal>

#include "common/log/log.h"
#include "server/process_tree.h"

namespace forkecho::server {
namespace {

/// For a worker that was told to leave because the lock was replaced; one that waits for a lock
/// looks at its signals twenty times a second.
constexpr auto leaving_time = std::chrono::seconds(1);

}  // namespace

PoolSizes ProcessTree::sizes() const {
  PoolSizes sizes = grown_sizes(options_->pool, grown_);
  sizes.max = forks_children() ? static_cast<unsigned>(child_limit(*options_)) : places();
  sizes.min_spare = std::min(sizes.min_spare, sizes.max);
  sizes.max_spare = std::max(sizes.max_spare, sizes.min_spare);
  return sizes;
}

PoolState ProcessTree::pool_state() const {
  PoolState state{.idle = 0, .busy = 0, .retiring = 0, .replace = to_replace_, .burst = burst_};
  for (const Seat& seat : seats_.all()) {
    if (seat.pid == 0 || seat.passes) continue;
    ++(seat.retiring ? state.retiring : seats_.is_serving(seat) ? state.busy : state.idle);
  }
  return state;
}

void ProcessTree::resize_pool() {
  repeat_retiring();
  const PoolDecision decision = decide_pool_size(pool_state(), sizes());
  to_replace_ = 0;
  burst_ = decision.next_burst;
  spawn(decision.spawn);
  if (decision.retire > 0) retire_one();
}

/// The first signal may have come between a check and a wait.
void ProcessTree::repeat_retiring() {
  for (const Seat& seat : seats_.all()) {
    if (seat.retiring) kill(seat.pid, SIGUSR1);
  }
  evict_late_leavers();
}

/// Whoever does not hear is stopped, or waits for a lock that is none: it serves nobody.
void ProcessTree::evict_late_leavers() {
  for (Seat& seat : seats_.all()) {
    if (seat.pid == 0 || !seat.evict_at.passed() || seats_.is_serving(seat)) continue;
    log::warning("worker {} does not leave (it is stopped, or hangs): it is killed", seat.pid);
    seat.evict_at = sys::Deadline::never();
    kill(seat.pid, SIGKILL);
  }
}

void ProcessTree::retire(Seat& seat) {
  seat.retiring = true;
  kill(seat.pid, SIGUSR1);
}

void ProcessTree::retire_one() {
  const auto all = seats_.all();
  const auto idle = std::find_if(all.rbegin(), all.rend(), [this](const Seat& seat) {
    return seat.pid != 0 && !seat.passes && !seat.retiring && !seats_.is_serving(seat);
  });
  if (idle != all.rend()) retire(*idle);
}

std::string ProcessTree::grow(int by) {
  if (!is_pool()) return "concerns --mode pool only";
  if (has_listeners_of_their_own(*options_))
    return "has no effect: with --accept reuseport the pool has as many workers as queues";
  const PoolSizes before = grown_sizes(options_->pool, grown_);
  const PoolSizes after = grown_sizes(options_->pool, grown_ + by);
  if (after.min_spare == before.min_spare && after.max_spare == before.max_spare)
    return by > 0 ? "has no effect: the pool is as large as --pool-max allows"
                  : "has no effect: one idle worker is the least that there must be";
  grown_ += by;
  if (forks_children()) {
    for (const Seat& seat : seats_.all()) {
      if (seat.pid != 0) kill(seat.pid, by > 0 ? SIGTTIN : SIGTTOU);
    }
  } else if (by > 0) {
    spawn(1);
  } else {
    retire_one();
  }
  return "the pool keeps " + std::to_string(after.min_spare) + " to " +
         std::to_string(after.max_spare) + " idle workers from now on";
}

/// Nothing is asked of anybody: clients wait, somebody says that it is free, and nobody is taken.
void ProcessTree::watch_for_stall() {
  if (!means_.has_lock() && !means_.has_pipe()) return;
  if (still_accept(elders_)) return;  // clients are theirs still
  const bool taken_up = means_.has_pipe() && means_.somebody_in_pipe();
  const StallWatch::Sight sight{.clients_wait = somebody_waits() && !taken_up,
                                .somebody_is_free = pool_state().idle > 0,
                                .accepted = totals().accepted};
  if (!stall_.look(sight, sys::Clock::now())) return;
  if (means_.has_lock()) return renew_lock("clients wait, and its holder does nothing");
  const Seat& passer = seats_.passer();
  if (passer.pid == 0) return;
  log::warning(
      "acceptor {} passes nobody on, though clients wait and workers are idle (it is stopped, or "
      "hangs): it is killed and replaced; nobody in the queue is lost",
      passer.pid);
  kill(passer.pid, SIGKILL);
}

/// With a new lock for new workers, whoever holds the old one, or has written over it, holds up
/// nobody. Those who serve go on and leave afterwards.
void ProcessTree::renew_lock(const char* why) {
  if (killing_) return;
  means_.renew_lock();
  unsigned waiting = 0;
  for (Seat& seat : seats_.all()) {
    if (seat.pid == 0 || seat.retiring) continue;
    waiting += !seats_.is_serving(seat);
    retire(seat);
    seat.evict_at = sys::Deadline::after(leaving_time);
  }
  to_replace_ += waiting;
  log::warning(
      "the accept lock is replaced, and {} workers that wait for it: {} (look for a worker that "
      "is stopped, T in ps; --accept shared needs no lock)",
      waiting, why);
}

void ProcessTree::keep_passing() {
  if (!means_.has_pipe() || retired_ || seats_.passer().pid != 0 || !may_start()) return;
  occupy(seats_.passer());
}

/// Who was passed on is served, also when all workers have died meanwhile.
void ProcessTree::empty_pipe() {
  if (!means_.has_pipe() || !means_.somebody_in_pipe()) return;
  if (pool_state().idle == 0) spawn(1);
}

}  // namespace forkecho::server
