// HolderTable<Entry>: what each thread of each process holds of something shared (permits of a
// semaphore, a place among the waiters of a condition, items of a queue not yet done), so that it
// can be given back when the thread is killed. Rows carry ThreadIds: the kernel says truly, and at
// once, who is gone.
//
// Lies in memory shared with children; make it before the fork. Every call is made under the mutex
// of the primitive that owns the table. A process may be killed inside any of them: a row comes
// into being, and ceases, in one store. Destroying it is safe at any time for the threads that hold
// rows. A call costs time in proportion to the rows in use.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

#include "common/mp/futex.h"
#include "common/mp/raw_shared.h"
#include "common/mp/step.h"
#include "common/mp/thread_id.h"

namespace forkecho::mp {

template <Shareable Entry>
class HolderTable {
 public:
  /// As many as the process ids of a machine with the kernel's usual limit.
  static constexpr std::size_t default_capacity = std::size_t{1} << 15;

  /// Room for `capacity` threads that hold at the same time. Rows never used cost no memory.
  explicit HolderTable(std::size_t capacity = default_capacity) : rooms_(capacity) {
    prepare_thread_ids();
  }

  /// The calling thread's entry, or nullptr when it has none.
  Entry* find_mine() {
    Row* const row = find_row(this_thread_id());
    return row == nullptr ? nullptr : &row->entry;
  }

  /// The calling thread's entry; a new one, value-initialised, when it has none. `settle` is called
  /// for the entries of the dead first if there is no free row. Throws std::length_error when every
  /// row is held by a living thread.
  template <typename Settle>
  Entry& mine(Settle settle) {
    const ThreadId thread = this_thread_id();
    if (Row* const row = find_row(thread)) return row->entry;
    if (!has_free_row()) settle_dead(settle);
    if (!has_free_row())
      throw std::length_error("more than " + std::to_string(rooms_.size()) +
                              " threads hold parts of one object at the same time");
    return take_free_row(thread).entry;
  }

  /// Gives the calling thread's row up, if it has one.
  void drop_mine() {
    if (Row* const row = find_row(this_thread_id())) free_row(*row);
  }

  /// Calls settle(entry) for each entry whose thread has ended, and frees its row afterwards; a
  /// caller killed in between leaves the row to be settled once more, so settle must bear that
  /// (what it gives to the whole is recomputed by whoever takes the mutex of the dead, or is given
  /// in the same store as it is taken from the entry).
  template <typename Settle>
  void settle_dead(Settle settle) {
    for (std::size_t i = used(); i-- > 0;) {
      Row& row = row_at(i);
      const ThreadId thread = row.thread.load(std::memory_order_acquire);
      if (thread == ThreadId::none || is_alive(thread)) continue;
      settle(row.entry);
      FORKECHO_MP_STEP("holder_table.settle_dead.settled");
      free_row(row);
    }
    head_->settled_at.store(now(), std::memory_order_release);
  }

  /// As settle_dead, unless that was done less than half of longest_sleep ago: for many who wait
  /// and look again and again, each for all.
  template <typename Settle>
  void settle_dead_seldom(Settle settle) {
    constexpr std::int64_t pause = (longest_sleep / 2).count();
    if (now() - head_->settled_at.load(std::memory_order_acquire) >= pause) settle_dead(settle);
  }

  /// Calls visit(entry) for the entries of all who hold one, the dead that were not settled
  /// included, in the order of the rows.
  template <typename Visit>
  void for_each(Visit visit) {
    for (std::size_t i = 0; i < used(); ++i) {
      Row& row = row_at(i);
      if (row.thread.load(std::memory_order_acquire) != ThreadId::none) visit(row.entry);
    }
  }

  /// The same for those whose thread lives.
  template <typename Visit>
  void for_each_living(Visit visit) {
    for (std::size_t i = 0; i < used(); ++i) {
      Row& row = row_at(i);
      if (is_alive(row.thread.load(std::memory_order_acquire))) visit(row.entry);
    }
  }

  /// How many rows hold something, or lie before one that does.
  std::size_t rows_in_use() const { return used(); }

 private:
  struct Row {
    std::atomic<ThreadId> thread;  // none: free
    Entry entry;
  };
  struct Head {
    std::atomic<std::size_t> used;  // rows from here on are free
    std::atomic<std::int64_t> settled_at;
  };
  /// Untouched zeros until a thread is in it; zeros are a free row.
  struct alignas(Row) RowRoom {
    std::byte bytes[sizeof(Row)];
  };

  static std::int64_t now() { return sys::Clock::now().time_since_epoch().count(); }
  Row& row_at(std::size_t i) { return *std::launder(reinterpret_cast<Row*>(&rooms_[i])); }
  std::size_t used() const { return head_->used.load(std::memory_order_acquire); }
  bool is_free(std::size_t i) {
    return row_at(i).thread.load(std::memory_order_acquire) == ThreadId::none;
  }

  Row* find_row(ThreadId thread) {
    for (std::size_t i = 0; i < used(); ++i) {
      if (row_at(i).thread.load(std::memory_order_acquire) == thread) return &row_at(i);
    }
    return nullptr;
  }

  std::size_t first_free_row() {
    std::size_t i = 0;
    while (i < used() && !is_free(i)) ++i;
    return i;
  }

  bool has_free_row() { return used() < rooms_.size() || first_free_row() < rooms_.size(); }

  Row& take_free_row(ThreadId thread) {
    const std::size_t i = first_free_row();
    if (i == used()) head_->used.store(i + 1, std::memory_order_release);
    Row& row = row_at(i);
    new (static_cast<void*>(&row.entry)) Entry{};
    FORKECHO_MP_STEP("holder_table.take.prepared");
    row.thread.store(thread, std::memory_order_release);
    FORKECHO_MP_STEP("holder_table.take.taken");
    return row;
  }

  void free_row(Row& row) {
    row.thread.store(ThreadId::none, std::memory_order_release);
    FORKECHO_MP_STEP("holder_table.free.freed");
    // So that the cost follows those who hold now, not the most that ever did.
    std::size_t count = used();
    while (count > 0 && is_free(count - 1)) --count;
    head_->used.store(count, std::memory_order_release);
  }

  RawArray<RowRoom> rooms_;
  RawValue<Head> head_;
};

}  // namespace forkecho::mp
