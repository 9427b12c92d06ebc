#include "common/mp/message_ring.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <climits>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

#include "common/mp/reservation.h"
#include "common/mp/step.h"

namespace forkecho::mp {
namespace {

constexpr std::size_t cache_line = 64;

/// New messages are laid below here while there is room, so that a queue that is mostly empty lives
/// in the processor's cache, and touches little memory.
constexpr std::uint32_t warm_bytes = 64 << 10;

/// How often a caller looks for a change before it sleeps: a sleep and its wake-up cost some 5 us
/// of both sides, and this takes less.
constexpr int looks_before_sleep = 100;
constexpr int tries_before_sleep = 20;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// A call that must not wait is none the less served in its turn when others are in the middle of
/// theirs: they take a moment, and their being there does not make a queue full or empty.
sys::Deadline turn_deadline(sys::Deadline deadline) {
  const auto grace = sys::Deadline::after(longest_sleep);
  return deadline.when() < grace.when() ? grace : deadline;
}

Acquired take_turn(RobustMutex& mutex, sys::Deadline deadline) {
  for (int i = 0; i < tries_before_sleep; ++i) {
    const Acquired acquired = mutex.try_lock();
    if (acquired != Acquired::timed_out) return acquired;
    relax();
  }
  return mutex.lock(turn_deadline(deadline));
}

/// Gives a mutex up at the end of a scope.
class Unlock {
 public:
  explicit Unlock(RobustMutex& mutex) : mutex_(mutex) {}
  Unlock(const Unlock&) = delete;
  Unlock& operator=(const Unlock&) = delete;
  ~Unlock() { mutex_.unlock(); }  // NOLINT(bugprone-exception-escape)

 private:
  RobustMutex& mutex_;
};

/// Wakes `count` of those who sleep on `sleepers`, which is 0 when nobody does. Called by one
/// process at a time. The word is 0 before the call that wakes, so that whoever is about to sleep
/// does not.
void wake(Word& sleepers, int count) {
  sleepers.store(0);
  FORKECHO_MP_STEP("queue.wake.announced");
  if (wake_word(sleepers, count) > 0) sleepers.store(1);  // perhaps not the only one
}

/// Waits until `counter` is perhaps no longer `seen`, or the deadline has passed.
void wait_for_change(const std::atomic<std::uint64_t>& counter, std::uint64_t seen, Word& sleepers,
                     sys::Deadline deadline) {
  for (int i = 0; i < looks_before_sleep; ++i) {
    if (counter.load(std::memory_order_relaxed) != seen) return;
    relax();
  }
  // In one order for all with the other side's change of the counter and look at the word.
  sleepers.store(1);
  if (counter.load() == seen) sleep_on_word(sleepers, 1, deadline);
}

pid_t this_thread() {
  return static_cast<pid_t>(syscall(SYS_gettid));
}

std::size_t checked(std::size_t value, std::size_t most, const char* what) {
  if (value < 1 || value > most)
    throw std::invalid_argument(std::string(what) + " of a queue: " + std::to_string(value) +
                                " is not from 1 to " + std::to_string(most));
  return value;
}

}  // namespace

/// What is written together lies in a cache line of its own.
struct MessageRing::Shared {
  alignas(cache_line) RobustMutex putters;
  std::uint64_t got_seen = 0;  // `got` as a putter last saw it
  Reservation reservation;
  alignas(cache_line) std::atomic<std::uint64_t> put = 0;  // messages ever put: this store commits
  alignas(cache_line) RobustMutex getters;
  std::uint64_t put_seen = 0;                  // `put` as a getter last saw it
  std::atomic<std::uint64_t> handed_over = 0;  // behind `got` by one for each getter killed between
  alignas(cache_line) std::atomic<std::uint64_t> got =
      0;  // messages ever taken: this store commits
  alignas(cache_line) Word putters_sleep = 0;
  alignas(cache_line) Word getters_sleep = 0;
};

/// Where message number n lies: in records_[n modulo slots_].
struct MessageRing::Record {
  std::uint32_t begin;
  std::uint32_t length;
};

namespace {

std::size_t up_to_page(std::size_t bytes) {
  return (bytes + page_size() - 1) / page_size() * page_size();
}

}  // namespace

MessageRing::MessageRing(std::size_t items, std::size_t bytes)
    : items_(checked(items, std::size_t{1} << 31, "items")),
      bytes_(checked(bytes, std::numeric_limits<std::uint32_t>::max(), "bytes")),
      slots_(std::bit_ceil(items)),
      memory_(up_to_page(sizeof(Shared) + slots_ * sizeof(Record)) + bytes),
      shared_(new (memory_.data()) Shared),
      records_(reinterpret_cast<Record*>(static_cast<std::byte*>(memory_.data()) + sizeof(Shared))),
      data_(static_cast<std::byte*>(memory_.data()) + (memory_.size() - bytes)) {}

MessageRing::Record& MessageRing::record(std::uint64_t number) const {
  return records_[number & (slots_ - 1)];
}

std::optional<std::uint32_t> next_place(Extent first, Extent last, std::uint32_t length,
                                        std::size_t bytes) {
  const std::uint64_t end = std::uint64_t{last.begin} + last.length;
  const bool wrapped = last.begin < first.begin;
  const bool fits_behind = (wrapped ? first.begin : bytes) - end >= length;
  const bool fits_below = !wrapped && first.begin >= length;
  if (fits_below && (!fits_behind || end + length > warm_bytes)) return 0;
  if (fits_behind) return static_cast<std::uint32_t>(end);
  return std::nullopt;
}

std::optional<std::uint32_t> MessageRing::place_after(std::uint64_t put, std::uint64_t got,
                                                      std::uint32_t length) const {
  if (put == got) return 0;
  if (put - got >= items_) return std::nullopt;
  const Record& first = record(got);
  const Record& last = record(put - 1);
  // An empty message takes a byte, so that a full ring differs from an empty one.
  return next_place({first.begin, first.length}, {last.begin, std::max(last.length, 1U)},
                    std::max(length, 1U), bytes_);
}

std::optional<std::uint32_t> MessageRing::place_for(std::uint32_t length) {
  const std::uint64_t put = shared_->put.load(std::memory_order_relaxed);
  const auto place = place_after(put, shared_->got_seen, length);
  if (place && *place + length <= warm_bytes) return place;
  const std::uint64_t got = shared_->got.load(std::memory_order_acquire);
  if (got == shared_->got_seen) return place;
  shared_->got_seen = got;
  return place_after(put, got, length);
}

bool MessageRing::try_put(BytesView message) {
  const auto length = static_cast<std::uint32_t>(message.size());
  const auto place = place_for(length);
  if (!place) return false;
  const std::uint64_t number = shared_->put.load(std::memory_order_relaxed);
  if (length > 0) std::memcpy(data_ + *place, message.data(), length);
  record(number) = {*place, length};
  FORKECHO_MP_STEP("queue.put.copied");
  // Sequentially consistent, as the sleepers' side of wait_for_change.
  shared_->put.store(number + 1);
  FORKECHO_MP_STEP("queue.put.committed");
  if (shared_->getters_sleep.load() != 0) {
    wake(shared_->getters_sleep, 1);
    FORKECHO_MP_STEP("queue.put.woken");
  }
  return true;
}

bool MessageRing::put_in_turn(BytesView message) {
  Reservation& reservation = shared_->reservation;
  const bool reserved = reservation.exists();
  if (reserved && !reservation.allows(this_thread(), sys::Clock::now())) {
    shared_->got_seen = shared_->got.load(std::memory_order_acquire);
    return false;
  }
  if (!try_put(message)) return false;
  if (reserved) reservation.give_up(this_thread());
  return true;
}

bool MessageRing::goes_on_waiting(sys::Deadline deadline) {
  // A message that lacks bytes and not a place may be passed by small ones again and again.
  Reservation& reservation = shared_->reservation;
  const bool lacks_bytes = size() < items_;
  const bool passed = deadline.passed();
  if (passed && reservation.exists()) reservation.give_up(this_thread());
  if (!passed && lacks_bytes) reservation.claim(this_thread(), sys::Clock::now());
  return !passed;
}

bool MessageRing::put(BytesView message, sys::Deadline deadline) {
  if (message.size() > bytes_)
    throw std::length_error("a message of " + std::to_string(message.size()) +
                            " bytes in a queue of " + std::to_string(bytes_));
  FORKECHO_MP_STEP("queue.put.begin");
  for (;;) {
    if (take_turn(shared_->putters, deadline) == Acquired::timed_out) return false;
    std::uint64_t got;
    {
      const Unlock unlock(shared_->putters);
      FORKECHO_MP_STEP("queue.put.locked");
      if (put_in_turn(message)) return true;
      if (!goes_on_waiting(deadline)) return false;
      got = shared_->got_seen;
    }
    FORKECHO_MP_STEP("queue.put.full");
    wait_for_change(shared_->got, got, shared_->putters_sleep, deadline);
  }
}

bool MessageRing::something_to_get() {
  const std::uint64_t got = shared_->got.load(std::memory_order_relaxed);
  if (got != shared_->put_seen) return true;
  shared_->put_seen = shared_->put.load(std::memory_order_acquire);
  return got != shared_->put_seen;
}

void MessageRing::mark_taken(std::uint64_t taken) {
  if (ledger_ != nullptr) ledger_->will_take(taken);
  FORKECHO_MP_STEP("queue.get.copied");
  shared_->got.store(taken);  // sequentially consistent, as put's
  FORKECHO_MP_STEP("queue.get.committed");
  if (ledger_ != nullptr) ledger_->took();
  if (shared_->putters_sleep.load() != 0) {
    // One place, one putter; but an empty ring has room for several, or for the one who needs most.
    wake(shared_->putters_sleep, taken == shared_->put_seen ? INT_MAX : 1);
    FORKECHO_MP_STEP("queue.get.woken");
  }
  const auto handed_over = shared_->handed_over.load(std::memory_order_relaxed);
  shared_->handed_over.store(handed_over + 1, std::memory_order_release);
  FORKECHO_MP_STEP("queue.get.handed_over");
}

BytesView MessageRing::take(Inbox& inbox) {
  const std::uint64_t got = shared_->got.load(std::memory_order_relaxed);
  const Record message = record(got);
  std::byte* to = inbox.small.data();
  if (message.length > inbox.small.size()) {
    inbox.large.resize(message.length);
    to = inbox.large.data();
  }
  if (message.length > 0) std::memcpy(to, data_ + message.begin, message.length);
  mark_taken(got + 1);
  return {to, message.length};
}

std::optional<BytesView> MessageRing::get(Inbox& inbox, sys::Deadline deadline) {
  FORKECHO_MP_STEP("queue.get.begin");
  for (;;) {
    std::uint64_t put;
    {
      const GettersTurn turn(*this, deadline);
      if (!turn) return std::nullopt;
      FORKECHO_MP_STEP("queue.get.locked");
      if (something_to_get()) return take(inbox);
      put = shared_->put_seen;
    }
    if (deadline.passed()) return std::nullopt;
    FORKECHO_MP_STEP("queue.get.empty");
    wait_for_change(shared_->put, put, shared_->getters_sleep, deadline);
  }
}

MessageRing::GettersTurn::GettersTurn(MessageRing& ring, sys::Deadline deadline) : ring_(ring) {
  const Acquired acquired = take_turn(ring.shared_->getters, deadline);
  held_ = acquired != Acquired::timed_out;
  if (acquired == Acquired::owner_died && ring.ledger_ != nullptr) ring.ledger_->repair(taken());
}

MessageRing::GettersTurn::~GettersTurn() {
  if (held_) ring_.shared_->getters.unlock();
}

std::uint64_t MessageRing::GettersTurn::taken() const {
  return ring_.shared_->got.load(std::memory_order_relaxed);
}

std::size_t MessageRing::size() const {
  // In this order, so that the difference is not below zero.
  const std::uint64_t got = shared_->got.load(std::memory_order_acquire);
  return shared_->put.load(std::memory_order_acquire) - got;
}

std::uint64_t MessageRing::put_count() const {
  return shared_->put.load(std::memory_order_acquire);
}

std::uint64_t MessageRing::lost() {
  const GettersTurn turn(*this, sys::Deadline::immediately());
  // In this order, so that the difference is not below zero where there is no turn.
  const std::uint64_t handed_over = shared_->handed_over.load(std::memory_order_acquire);
  return turn.taken() - handed_over;
}

}  // namespace forkecho::mp
