#include "common/mp/joinable_queue.h"

#include <atomic>
#include <climits>
#include <stdexcept>

#include "common/mp/step.h"

namespace forkecho::mp {
namespace {

/// No destructor hangs on a process that is stopped in the middle of get.
constexpr sys::Duration patience_at_end = std::chrono::seconds(1);

/// What was stored before is stored before what follows, also for one who looks after the caller
/// was killed in between: the compiler keeps the order (the processor's own is seen by none: the
/// kernel is between the dead and whoever comes next).
void in_this_order() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace

UndoneItems::UndoneItems(MessageRing& ring) : ring_(ring), holders_(most_holders) {
  ring_.set_ledger(*this);
}

UndoneItems::~UndoneItems() {
  const MessageRing::GettersTurn turn(ring_, sys::Deadline::after(patience_at_end));
  if (!turn) return;  // settled by another when the thread ends
  if (Held* const held = holders_.find_mine()) settle(*held);
  holders_.drop_mine();
}

void UndoneItems::will_take(std::uint64_t taken) {
  Held& held = holders_.mine([this](Held& dead) { settle(dead); });
  held.items_after = held.items + 1;
  in_this_order();
  held.taking = taken;
  in_this_order();
  taker_ = &held;
  FORKECHO_MP_STEP("joinable_queue.get.announced");
}

void UndoneItems::took() {
  Held& held = *taker_;
  held.items = held.items_after;
  in_this_order();
  FORKECHO_MP_STEP("joinable_queue.get.entered");
  held.taking = 0;
}

void UndoneItems::repair(std::uint64_t taken) {
  holders_.for_each([&](Held& held) {
    if (held.taking != 0 && held.taking <= taken) held.items = held.items_after;
    in_this_order();
    held.taking = 0;
    if (held.abandoned_after != 0) settle(held);
  });
  FORKECHO_MP_STEP("joinable_queue.repair.repaired");
}

void UndoneItems::settle(Held& held) {
  if (held.abandoned_after == 0) held.abandoned_after = account_->abandoned + held.items;
  in_this_order();
  FORKECHO_MP_STEP("joinable_queue.settle.announced");
  account_->abandoned = held.abandoned_after;
  in_this_order();
  FORKECHO_MP_STEP("joinable_queue.settle.counted");
  held.items = 0;
  in_this_order();
  held.abandoned_after = 0;
}

void UndoneItems::settle_dead() {
  holders_.settle_dead([this](Held& held) { settle(held); });
}

bool UndoneItems::all_done(std::uint64_t taken) {
  std::uint64_t undone = ring_.put_count() - taken;
  holders_.for_each([&](const Held& held) { undone += held.items; });
  return undone == 0;
}

bool UndoneItems::mark_mine() {
  Held* const held = holders_.find_mine();
  if (held == nullptr || held->items == 0) return false;
  --held->items;
  FORKECHO_MP_STEP("joinable_queue.task_done.marked");
  if (held->items == 0) holders_.drop_mine();
  return true;
}

bool UndoneItems::mark_anothers() {
  bool marked = false;
  holders_.for_each([&](Held& held) {
    if (marked || held.items == 0) return;
    --held.items;
    marked = true;
  });
  if (!marked && account_->abandoned > 0) {
    --account_->abandoned;
    marked = true;
  }
  return marked;
}

void UndoneItems::wake_joiners(std::uint64_t taken) {
  Word& sleepers = account_->joiners_sleep;
  if (sleepers.load(std::memory_order_relaxed) == 0 || !all_done(taken)) return;
  sleepers.store(0, std::memory_order_relaxed);
  wake_word(sleepers, INT_MAX);
}

void UndoneItems::task_done() {
  FORKECHO_MP_STEP("joinable_queue.task_done.begin");
  const MessageRing::GettersTurn turn(ring_, sys::Deadline::never());
  if (!mark_mine() && !mark_anothers())
    throw std::logic_error("task_done more often than items were got from the queue");
  wake_joiners(turn.taken());
  FORKECHO_MP_STEP("joinable_queue.task_done.woken");
}

Joined UndoneItems::join(sys::Deadline deadline) {
  for (;;) {
    {
      const MessageRing::GettersTurn turn(ring_, deadline);
      if (!turn) return {false, account_->abandoned};
      settle_dead();
      FORKECHO_MP_STEP("joinable_queue.join.settled");
      const bool done = all_done(turn.taken());
      if (done || deadline.passed()) return {done, account_->abandoned};
      account_->joiners_sleep.store(1, std::memory_order_relaxed);
    }
    FORKECHO_MP_STEP("joinable_queue.join.waiting");
    sleep_on_word(account_->joiners_sleep, 1, deadline);
  }
}

std::size_t UndoneItems::abandoned() {
  const MessageRing::GettersTurn turn(ring_, sys::Deadline::never());
  settle_dead();
  return account_->abandoned;
}

}  // namespace forkecho::mp
