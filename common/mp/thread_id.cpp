#include "common/mp/thread_id.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <stdexcept>
#include <string>

#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"
#include "common/mp/step.h"

namespace forkecho::mp {
namespace {

/// A row of the table. `times_taken` is written by its holder alone.
struct Life {
  RobustMutex held;
  std::atomic<std::uint32_t> times_taken;
};

/// Untouched zeros until a Life is constructed in it.
struct alignas(Life) LifeRoom {
  std::byte bytes[sizeof(Life)];
};

/// How many rows in use a newcomer looks at before it prefers one that was never used.
constexpr std::uint32_t longest_search = 64;

class Lives {
 public:
  ThreadId take() {
    const RobustGuard guard(common_->taking);  // a killed taker leaves nothing to repair
    if (const auto reused = take_one_of(std::min(longest_search, made())); reused != ThreadId::none)
      return reused;
    if (made() < rooms_.size()) return take_new();
    if (const auto reused = take_one_of(made()); reused != ThreadId::none) return reused;
    throw std::length_error("more than " + std::to_string(rooms_.size()) +
                            " threads hold something shared at the same time");
  }

  /// `thread` if that is the caller's name; else none, or a new one that it was given by chance.
  ThreadId confirm(ThreadId thread) {
    RobustMutex& held = life(row_of(thread)).held;
    if (!held.is_held()) return ThreadId::none;
    // Nobody ever releases a row: asking for it once more is the cheapest way to learn whose it is.
    const auto acquired = held.lock_unless_held(sys::Deadline::immediately());
    if (!acquired) return thread;
    return *acquired == Acquired::timed_out ? ThreadId::none : new_name(row_of(thread));
  }

  bool is_alive(ThreadId thread) {
    Life& its = life(row_of(thread));
    const auto is_current = [&] {
      return its.times_taken.load(std::memory_order_acquire) == times_of(thread);
    };
    // The second look: it may have died, and the row been taken anew, since the first.
    return is_current() && its.held.is_held() && is_current();
  }

 private:
  struct Common {
    RobustMutex taking;
    std::atomic<std::uint32_t> made;  // rows from here on were never constructed
    std::uint32_t next;               // where the next search begins
  };

  static std::uint32_t row_of(ThreadId thread) { return static_cast<std::uint32_t>(thread); }
  static std::uint32_t times_of(ThreadId thread) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(thread) >> 32);
  }
  Life& life(std::uint32_t row) { return *std::launder(reinterpret_cast<Life*>(&rooms_[row])); }
  std::uint32_t made() const { return common_->made.load(std::memory_order_acquire); }

  /// Looks at `count` rows in turn; none when a living thread has each.
  ThreadId take_one_of(std::uint32_t count) {
    for (; count > 0; --count) {
      const std::uint32_t row = common_->next = (common_->next + 1) % made();
      const auto thread = take_row(row);
      if (thread != ThreadId::none) return thread;
    }
    return ThreadId::none;
  }

  ThreadId take_new() {
    const std::uint32_t row = made();
    new (static_cast<void*>(&rooms_[row])) Life{};
    FORKECHO_MP_STEP("thread_id.take.constructed");
    common_->made.store(row + 1, std::memory_order_release);
    return take_row(row);
  }

  ThreadId take_row(std::uint32_t row) {
    RobustMutex& held = life(row).held;
    if (held.is_held() || held.try_lock() == Acquired::timed_out) return ThreadId::none;
    FORKECHO_MP_STEP("thread_id.take.held");
    return new_name(row);
  }

  /// For the one who has just come to hold the row.
  ThreadId new_name(std::uint32_t row) {
    Life& mine = life(row);
    const std::uint32_t before = mine.times_taken.load(std::memory_order_relaxed);
    const std::uint32_t times = std::max(before + 1, 1U);  // 0 belongs to ThreadId::none
    mine.times_taken.store(times, std::memory_order_release);
    return static_cast<ThreadId>(std::uint64_t{times} << 32 | row);
  }

  RawArray<LifeRoom> rooms_{most_named_threads};
  RawValue<Common> common_;
};

/// Never destroyed: the threads that end last hold their rows to the end.
Lives& lives() {
  static Lives& table = *new Lives;
  return table;
}

thread_local ThreadId remembered = ThreadId::none;

}  // namespace

void prepare_thread_ids() {
  lives();
}

ThreadId this_thread_id() {
  // What is remembered in a forked child is its parent's.
  if (remembered != ThreadId::none) remembered = lives().confirm(remembered);
  if (remembered == ThreadId::none) remembered = lives().take();
  return remembered;
}

bool is_alive(ThreadId thread) {
  return thread != ThreadId::none && lives().is_alive(thread);
}

}  // namespace forkecho::mp
