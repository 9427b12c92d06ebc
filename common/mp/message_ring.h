// MessageRing: a bounded first-in-first-out queue of messages (plain bytes) in shared memory. What
// Queue, JoinableQueue and SimpleQueue stand on; nobody else uses it.
//
// Two robust mutexes, one for those who put and one for those who get; neither waits for the other.
// A message is copied in behind the last one and counts from one store on (put); it is copied out
// and is gone from one store on (got). So wherever a process is killed, no message is torn, none is
// delivered twice, and nothing needs repair:
//   - killed in put before its store: nothing was put;   after it: the message is there;
//   - killed in get before its store: the message is there still, for the next;
//   - killed in get after it: the message is gone. Between that store and the next (handed over) it
//   is
//     counted in lost(); from then on it is in the hands of the process, as after the return of
//     get.
// Waiting is without a lock, on a futex word, and never longer than longest_sleep (futex.h) without
// a look: a wake-up that a killed process still owed delays by that much at most.
//
// Safe between processes and threads. A process that is stopped (SIGSTOP) in the middle of a call
// keeps its mutex: others wait for it, until their deadline.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/mp/codec.h"
#include "common/mp/futex.h"
#include "common/mp/robust_mutex.h"
#include "common/mp/shared_memory.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

/// What must agree with the messages taken, whoever is killed when (JoinableQueue's account of
/// items not yet done). Every call is made under the getters' mutex.
class TakeLedger {
 public:
  virtual ~TakeLedger() = default;
  /// The ring is about to make `taken` the number of messages ever taken. May throw: then it does
  /// not.
  virtual void will_take(std::uint64_t taken) = 0;
  /// It has.
  virtual void took() = 0;
  /// The last holder of the mutex was killed while it held; `taken` messages were ever taken. May
  /// run again, if its caller is killed, too.
  virtual void repair(std::uint64_t taken) = 0;
};

/// Where get puts a message: in `small` when it fits there, and `large` is not touched.
struct Inbox {
  std::span<std::byte> small;
  Bytes large;
};

class MessageRing {
 public:
  /// Room for `items` messages (1 to 2^31) of `bytes` bytes in all (1 to 2^32 - 1), which is also
  /// the limit of one. Memory is taken only as it is used. Throws std::invalid_argument outside
  /// these ranges, std::system_error (ENOMEM).
  MessageRing(std::size_t items, std::size_t bytes);
  MessageRing(const MessageRing&) = delete;
  MessageRing& operator=(const MessageRing&) = delete;

  /// Keeps `ledger` in step from now on. Before the fork; it must live as long as the ring.
  void set_ledger(TakeLedger& ledger) { ledger_ = &ledger; }

  /// False when there was no room by the deadline: then nothing was put. std::length_error when the
  /// message is longer than `bytes`.
  bool put(BytesView message, sys::Deadline deadline);
  /// The oldest message, in `inbox`; empty when there was none by the deadline.
  std::optional<BytesView> get(Inbox& inbox, sys::Deadline deadline);

  /// How many messages there are, and are no longer a moment later.
  std::size_t size() const;
  std::size_t items() const { return items_; }
  std::size_t bytes() const { return bytes_; }
  /// Messages ever put.
  std::uint64_t put_count() const;
  /// Messages that went with a getter who was killed before it had them. Exact, unless another
  /// process is stopped in the middle of get.
  std::uint64_t lost();

  /// The right to get, which excludes every other getter, for a scope; for the ledger's owner.
  class GettersTurn {
   public:
    /// Waits for it until the deadline, and a moment (longest_sleep) in any case.
    GettersTurn(MessageRing& ring, sys::Deadline deadline);
    GettersTurn(const GettersTurn&) = delete;
    GettersTurn& operator=(const GettersTurn&) = delete;
    ~GettersTurn();
    /// False when the deadline passed first.
    explicit operator bool() const { return held_; }
    /// Messages ever taken.
    std::uint64_t taken() const;

   private:
    MessageRing& ring_;
    bool held_;
  };

 private:
  struct Shared;
  struct Record;
  std::optional<std::uint32_t> place_for(std::uint32_t length);
  std::optional<std::uint32_t> place_after(std::uint64_t put, std::uint64_t got,
                                           std::uint32_t length) const;
  bool try_put(BytesView message);
  bool put_in_turn(BytesView message);
  bool goes_on_waiting(sys::Deadline deadline);
  bool something_to_get();
  BytesView take(Inbox& inbox);
  void mark_taken(std::uint64_t taken);
  Record& record(std::uint64_t number) const;

  std::size_t items_;
  std::size_t bytes_;
  std::size_t slots_;  // items_, rounded up to a power of two
  SharedMemory memory_;
  Shared* shared_;
  Record* records_;
  std::byte* data_;
  TakeLedger* ledger_ = nullptr;
};

/// Where the next message begins, if it fits in one piece; decided from where the first and the
/// last one lie in a ring of `bytes` bytes. `length` is 1 at least.
struct Extent {
  std::uint32_t begin;
  std::uint32_t length;
};
std::optional<std::uint32_t> next_place(Extent first, Extent last, std::uint32_t length,
                                        std::size_t bytes);

}  // namespace forkecho::mp
