// JoinableQueue<T>: a Queue whose items must be marked done (task_done) by those who got them, and
// join, which waits until all are; Python's multiprocessing.JoinableQueue. There, join hangs for
// ever when a consumer is killed before task_done. Here the queue knows which thread holds how many
// items not yet done (an item is held by the thread whose get returned it); those of a thread that
// has ended count as abandoned, join goes on, and says how many they are. They are not delivered
// again.
//
// The account agrees with the queue wherever a process is killed: an item that get took is in the
// account of its getter, or still in the queue. (Those that lost() counts are abandoned, too; an
// item whose decode throws was got, and is to be marked.) Safe between processes and threads. What
// Queue promises (queue.h) holds here, too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/mp/holder_table.h"
#include "common/mp/queue.h"
#include "common/mp/raw_shared.h"

namespace forkecho::mp {

/// What join found.
struct Joined {
  bool all_done;  // every item that was put was marked done, or abandoned; false: the deadline
                  // passed first
  std::size_t
      abandoned;  // since the queue was made: items of consumers that ended before task_done

  explicit operator bool() const { return all_done; }
};

/// Which thread got how many items that are not done. Lies in shared memory; every call is made
/// under the getters' mutex of `ring`, but join, which takes it.
class UndoneItems final : public TakeLedger {
 public:
  /// Threads that can hold items at the same time. One more: its get throws std::length_error.
  static constexpr std::size_t most_holders = 4096;

  explicit UndoneItems(MessageRing& ring);
  UndoneItems(const UndoneItems&) = delete;
  UndoneItems& operator=(const UndoneItems&) = delete;
  /// What the calling thread holds is abandoned; when another process is stopped in the middle of a
  /// get, only as soon as the thread ends. No other thread of this process may hold any.
  ~UndoneItems() override;

  void task_done();
  Joined join(sys::Deadline deadline);
  std::size_t abandoned();

  void will_take(std::uint64_t taken) override;
  void took() override;
  void repair(std::uint64_t taken) override;

 private:
  struct Held {
    std::uint64_t items;            // got and not done
    std::uint64_t items_after;      // what `items` becomes by what is going on
    std::uint64_t taking;           // 0, or: the number that the ring's count of taken is to become
    std::uint64_t abandoned_after;  // 0, or: what the count of abandoned is to become, and items 0
  };
  struct Account {
    std::uint64_t abandoned;
    Word joiners_sleep;
  };

  bool all_done(std::uint64_t taken);
  void settle(Held& held);
  void settle_dead();
  bool mark_mine();
  bool mark_anothers();
  void wake_joiners(std::uint64_t taken);

  MessageRing& ring_;
  HolderTable<Held> holders_;
  RawValue<Account> account_;
  Held* taker_ = nullptr;  // the caller's, from will_take to took
};

template <typename T>
class JoinableQueue : public Queue<T> {
 public:
  /// As Queue's.
  explicit JoinableQueue(long maxsize = default_capacity, std::size_t bytes = default_queue_bytes)
      : Queue<T>(maxsize, bytes), undone_(this->ring()) {}

  /// One item that was got is done. It is one of the calling thread, if that holds any; otherwise
  /// one of any other thread, or an abandoned one: who got an item may leave it to another to mark
  /// it. std::logic_error when every item that was got is done already.
  void task_done() { undone_.task_done(); }

  /// Waits until every item that was put is done or abandoned. Items that nobody gets are waited
  /// for as long as the deadline allows.
  Joined join(sys::Deadline deadline = sys::Deadline::never()) { return undone_.join(deadline); }

  /// Items of consumers that ended before task_done, since the queue was made.
  std::size_t abandoned() { return undone_.abandoned(); }

 private:
  UndoneItems undone_;
};

}  // namespace forkecho::mp
