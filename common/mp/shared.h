// Value<T> and Array<T>: objects in memory shared with children, each with a Lock of its own, as
// Python's multiprocessing.Value and Array.
//
// Make them before the fork. Every access takes the lock; safe between processes and threads. When
// a process is killed inside update, the object may be half-written: the next access is told so
// (owner_died) and works on what is there.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>

#include "common/mp/lock.h"
#include "common/mp/raw_shared.h"

namespace forkecho::mp {

template <Shareable T>
class Value {
 public:
  explicit Value(const T& initial = T{}) { *value_ = initial; }
  T get() {
    const LockGuard guard(lock_);
    return *value_;
  }
  void set(const T& value) {
    const LockGuard guard(lock_);
    *value_ = value;
  }
  /// Calls change(T&) under the lock: read, change and write are one step for everybody else.
  template <typename Change>
  Acquired update(Change change) {
    const LockGuard guard(lock_);
    change(*value_);
    return guard.owner_died() ? Acquired::owner_died : Acquired::yes;
  }
  Lock& get_lock() { return lock_; }

 private:
  Lock lock_;
  RawValue<T> value_;
};

template <Shareable T>
class Array {
 public:
  explicit Array(std::size_t count) : values_(count) {}
  std::size_t size() const { return values_.size(); }
  /// std::out_of_range outside [0, size()).
  T get(std::size_t index) {
    const LockGuard guard(lock_);
    return at(index);
  }
  void set(std::size_t index, const T& value) {
    const LockGuard guard(lock_);
    at(index) = value;
  }
  /// Calls change(std::span<T>) under the lock.
  template <typename Change>
  Acquired update(Change change) {
    const LockGuard guard(lock_);
    change(values_.all());
    return guard.owner_died() ? Acquired::owner_died : Acquired::yes;
  }
  Lock& get_lock() { return lock_; }

 private:
  T& at(std::size_t index) {
    if (index >= values_.size()) throw std::out_of_range("index outside the shared array");
    return values_[index];
  }
  Lock lock_;
  RawArray<T> values_;
};

}  // namespace forkecho::mp
