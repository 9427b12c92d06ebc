// RawValue<T> and RawArray<T>: objects in memory shared with children, without a lock, as Python's
// multiprocessing.RawValue and RawArray. For what has one writer, or is made of atomics.
//
// T lives in shared memory as it is: it must not point into a process's own memory, and its
// destructor is never run, so it must be trivial. std::atomic members are safe between processes as
// long as they are lock-free.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "common/mp/shared_memory.h"

namespace forkecho::mp {

/// What may lie in shared memory without a destructor's help.
template <typename T>
concept Shareable = std::is_trivially_destructible_v<T> && std::is_standard_layout_v<T>;

template <Shareable T>
class RawArray {
 public:
  /// `count` objects, each value-initialised. Memory that is never touched costs nothing when T
  /// needs no constructor: the kernel's zeros are its value. Throws std::system_error (ENOMEM), and
  /// std::bad_array_new_length for a count that no memory could hold.
  explicit RawArray(std::size_t count) : memory_(bytes_of(count)), count_(count) {
    if constexpr (!std::is_trivially_default_constructible_v<T>) {
      std::uninitialized_value_construct_n(static_cast<T*>(memory_.data()), count);
    }
  }
  T& operator[](std::size_t index) const { return data()[index]; }
  std::size_t size() const { return count_; }
  T* data() const { return std::launder(static_cast<T*>(memory_.data())); }
  std::span<T> all() const { return {data(), count_}; }
  SharedMemory& memory() { return memory_; }

 private:
  static std::size_t bytes_of(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T))
      throw std::bad_array_new_length();
    return count * sizeof(T);
  }
  SharedMemory memory_;
  std::size_t count_;
};

template <Shareable T>
class RawValue {
 public:
  RawValue() : array_(1) {}
  T& operator*() const { return array_[0]; }
  T* operator->() const { return array_.data(); }
  SharedMemory& memory() { return array_.memory(); }

 private:
  RawArray<T> array_;
};

}  // namespace forkecho::mp
