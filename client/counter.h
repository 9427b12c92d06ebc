// Counter: a number in shared memory that one process counts up and others may read meanwhile.
//
// One writer: adding is a load and a store, not a locked instruction. Trivially copyable, zero when
// its memory is zero. Memory order is relaxed: a reader sees each counter whole, but two counters
// not necessarily of the same moment; exact sums are to be had once the writer has ended.
#pragma once

#include <atomic>
#include <cstdint>

namespace forkecho::client {

class Counter {
 public:
  /// By the one writer only.
  void add(std::uint64_t amount) { set(value_ + amount); }
  void set(std::uint64_t value) { cell().store(value, std::memory_order_relaxed); }
  std::uint64_t get() const { return cell().load(std::memory_order_relaxed); }

 private:
  // C++20 has no atomic_ref of a const object; reading through it does not write.
  std::atomic_ref<std::uint64_t> cell() const {
    return std::atomic_ref<std::uint64_t>(const_cast<std::uint64_t&>(value_));
  }
  static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free,
                "or it would not work between processes");

  std::uint64_t value_;
};

}  // namespace forkecho::client
