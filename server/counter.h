// Counter: a figure in shared memory that only grows, with one writer and any number of readers in
// other processes. Relaxed atomics would do for the figure itself; release and acquire order it
// against the writer's other figures (book.h needs that).
#pragma once

#include <atomic>
#include <cstdint>

namespace forkecho::server {

class Counter {
 public:
  void add(std::uint64_t count) {
    // Not fetch_add: with one writer the locked instruction buys nothing.
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_release);
  }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_release); }
  std::uint64_t get() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace forkecho::server
