// HolderTable<Entry>: what each thread of each process holds of something shared (permits of a
// semaphore, a place among the waiters of a condition, items of a queue not yet done), so that it can
// be given back when the thread is killed. Each row is held by its thread through a RobustMutex: the
// kernel says truly, and at once, who is gone; no process id is compared, and none can be mistaken.
//
// Lies in memory shared with children; make it before the fork. Every call is made under the mutex
// of the primitive that owns the table. A process may be killed inside any of them.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>

#include "common/mp/raw_shared.h"
#include "common/mp/robust_mutex.h"

namespace forkecho::mp {

template <Shareable Entry>
class HolderTable {
 public:
  /// Room for `capacity` threads that hold at the same time. Rows never used cost no memory.
  explicit HolderTable(std::size_t capacity) : rows_(capacity) {}

  /// The calling thread's entry, or nullptr when it has none.
  Entry* find_mine() {
    Row* const row = row_of(this_thread());
    return row == nullptr ? nullptr : &row->entry;
  }

  /// The calling thread's entry; a new one, value-initialised, when it has none. `settle` is called
  /// for the entries of the dead first if there is no free row. Throws std::length_error when every
  /// row is held by a living thread.
  template <typename Settle>
  Entry& mine(Settle settle) {
    if (Entry* const entry = find_mine()) return *entry;
    if (Row* const row = claim_free_row()) return row->entry;
    settle_dead(settle);
    if (Row* const row = claim_free_row()) return row->entry;
    throw std::length_error("more than " + std::to_string(rows_.size()) +
                            " threads hold parts of one object at the same time");
  }

  /// Gives the calling thread's row up, if it has one.
  void drop_mine() {
    if (Row* const row = row_of(this_thread())) free_row(*row);
  }

  /// Calls settle(entry) for each entry whose thread has ended, and frees its row afterwards; a
  /// caller killed in between leaves the row to be settled once more, so settle must bear that (take
  /// from the entry in the same step as it gives to the whole).
  template <typename Settle>
  void settle_dead(Settle settle) {
    for (std::size_t i = 0; i < used_->rows; ++i) {
      Row& row = rows_[i];
      if (row.thread == 0 || row.held.held_by_caller()) continue;
      if (row.held.try_lock() == Acquired::timed_out) continue;
      settle(row.entry);
      free_row(row);
    }
  }

  /// Calls visit(entry) for the entries of all who hold one, the dead that were not settled
  /// included, in the order of the rows.
  template <typename Visit>
  void for_each(Visit visit) {
    for (std::size_t i = 0; i < used_->rows; ++i) {
      if (rows_[i].thread != 0) visit(rows_[i].entry);
    }
  }

 private:
  struct Row {
    RobustMutex held;  // by the thread, for as long as it has the row
    pid_t thread;      // its id; 0: free
    Entry entry;
  };
  struct Used {
    std::size_t rows;  // rows from here on were never constructed
  };
  /// Untouched zeros until a row is constructed in it.
  struct alignas(Row) RowRoom {
    std::byte bytes[sizeof(Row)];
  };
  class Rows {
   public:
    explicit Rows(std::size_t count) : room_(count) {}
    Row& operator[](std::size_t i) { return *std::launder(reinterpret_cast<Row*>(&room_[i])); }
    void construct(std::size_t i) { new (static_cast<void*>(&room_[i])) Row{}; }
    std::size_t size() const { return room_.size(); }

   private:
    RawArray<RowRoom> room_;
  };

  static pid_t this_thread() { return static_cast<pid_t>(syscall(SYS_gettid)); }

  Row* row_of(pid_t thread) {
    for (std::size_t i = 0; i < used_->rows; ++i) {
      // The id of a dead thread may have been given to this one: then the row is not its own.
      if (rows_[i].thread == thread && rows_[i].held.held_by_caller()) return &rows_[i];
    }
    return nullptr;
  }

  Row* claim_free_row() {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (i == used_->rows) {
        rows_.construct(i);
        ++used_->rows;
      }
      Row& row = rows_[i];
      if (row.thread != 0 || row.held.try_lock() == Acquired::timed_out) continue;
      row.entry = Entry{};
      row.thread = this_thread();
      return &row;
    }
    return nullptr;
  }

  static void free_row(Row& row) {
    row.thread = 0;
    row.held.unlock();
  }

  Rows rows_;
  RawValue<Used> used_;
};

}  // namespace forkecho::mp
