#include "server/spare_keeper.h"

#include <algorithm>
#include <csignal>

#include "common/log/log.h"

namespace forkecho::server {
namespace {

using sys::Clock;
using sys::Deadline;

/// At the end spares are dismissed as often as this until they are gone.
constexpr auto dismiss_repeat = std::chrono::milliseconds(50);

}  // namespace

SpareKeeper::SpareKeeper(const ProcessContext& context, const ConnectionChild& child,
                         ChildrenInSlots& children, Gate& gate, Shortage& shortage)
    : listeners_(context.listeners),
      book_(context.page().book),
      child_(child),
      children_(children),
      gate_(gate),
      shortage_(shortage),
      spares_(context.options.pool, context.grown, children.capacity()) {}

Deadline SpareKeeper::next() const {
  if (stopped_) return none_left() ? Deadline::never() : Deadline::after(dismiss_repeat);
  if (shortage_.lasts()) return Deadline::never();
  return Deadline::at(std::min(watch_.next(), refill_.next(Clock::now())));
}

void SpareKeeper::keep(bool clients_wait) {
  if (stopped_ || shortage_.lasts()) return;
  look_after();
  if (clients_wait) return spares_.ran_out();
  const auto now = Clock::now();
  if (!refill_.is_due(spares_.can_wait(), now)) return;
  const PoolDecision decision = spares_.decide(children_.size());
  refill_.decided(decision.spawn > 0, now);
  for (unsigned i = 0; i < decision.spawn && !shortage_.lasts() && gate_.claim_place(); ++i)
    fork_one();
}

/// Spares that were stopped wait for nobody, and would keep us from accepting.
void SpareKeeper::look_after() {
  const auto now = Clock::now();
  if (!watch_.is_due(now)) return;
  const bool somebody_waits =
      std::any_of(listeners_.begin(), listeners_.end(),
                  [](const Listener& listener) { return listener.has_waiting_client(); });
  watch_.looked(somebody_waits, now);
  if (somebody_waits) return;
  spares_.relax();
  if (spares_.decide(children_.size()).retire > 0) dismiss_one();
}

/// Its place is claimed.
void SpareKeeper::fork_one() {
  const std::uint32_t index = children_.take_slot({}, SlotState::idle);
  const pid_t pid = child_.fork_ahead(children_.slot(index), spares_.fd());
  if (pid < 0) {
    shortage_.begin("cannot fork a worker ahead", errno, "clients wait in the queue");
    gate_.ended(children_.leave(index));
    return;
  }
  refill_.forked(children_.enter(pid, index));
  spares_.add(pid, index);
}

void SpareKeeper::count_taken() {
  const unsigned taken = spares_.collect(children_.slots());
  if (taken == 0) return;
  book_.accepted.add(taken);
  refill_.taken(taken, Clock::now());
}

bool SpareKeeper::had_client_of_ours(const mp::Exit& exit, bool said_so) {
  refill_.at_once();
  if (!spares_.remove(exit.pid)) return true;
  if (had_client(exit.exitcode, said_so)) {
    book_.accepted.add(1);
    return true;
  }
  if (!stopped_ && exit.exitcode != unused_spare) tell_of_early_death(exit);
  return false;
}

void SpareKeeper::tell_of_early_death(const mp::Exit& exit) {
  const auto pause =
      refill_.died_early(exit.exitcode == -SIGKILL, book_.served.get() > 0, Clock::now());
  if (pause == Backoff::Seconds::zero()) return;
  log::error(
      "worker {} {} before its first connection; the next is forked ahead in {} s (see the lines "
      "above, memory and ulimit)",
      exit.pid, describe_end(exit.exitcode), pause.count());
}

void SpareKeeper::client_came(Clock::time_point came, sys::Duration fork_took) {
  refill_.client_came(came);
  refill_.forked(fork_took);
}

void SpareKeeper::grow(int by) {
  spares_.grow(by);
  if (by < 0) dismiss_one();
  refill_.at_once();
  watch_.look_at_once();
}

void SpareKeeper::dismiss_all() const {
  spares_.for_each_pid([](pid_t pid) { kill(pid, SIGUSR1); });
}

void SpareKeeper::dismiss_one() const {
  bool done = false;
  spares_.for_each_pid([&done](pid_t pid) { done = done || kill(pid, SIGUSR1) == 0; });
}

}  // namespace forkecho::server
