// Value<T> and Array<T>: objects in memory shared with children, each with an RLock, as Python's
// multiprocessing.Value and Array.
//
//   Value<int> count(0);
//   count.update([](int& n) { ++n; });                                  one step for everybody else
//   { LockGuard guard(count.get_lock()); count.set(count.get() + 1); }  the same
//
// Make them before the fork. Every access but get_obj takes the lock; safe between processes and
// threads. When a process is killed while it holds the lock, the object may be half-written, which
// can be told and not mended: the next call that can tell says owner_died, once, and works on what
// is there. Every call can but a get that was not asked to: that one leaves the news to the next.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include "common/mp/lock.h"
#include "common/mp/raw_shared.h"
#include "common/mp/rlock.h"
#include "common/mp/step.h"

namespace forkecho::mp {

/// The lock of a Value or an Array: one of its own, or one that it shares with others.
class SharedObjectLock {
 public:
  SharedObjectLock() : lock_(own_.emplace()) {}
  explicit SharedObjectLock(RLock& lock) : lock_(lock) {}

  RLock& lock() const { return lock_; }

  /// Calls act() under the lock, and tells of a death.
  template <typename Act>
  Acquired change(Act act) const {
    const LockGuard guard(lock_);
    if (guard.owner_died()) lock_.keep_news_of_death();
    act();
    FORKECHO_MP_STEP("value.access.done");
    return lock_.take_news_of_death() ? Acquired::owner_died : Acquired::yes;
  }

  /// Returns act() under the lock; a death is told to `told` unless that is null.
  template <typename Act>
  auto read(Acquired* told, Act act) const {
    const LockGuard guard(lock_);
    if (guard.owner_died()) lock_.keep_news_of_death();
    auto result = act();
    if (told != nullptr) *told = lock_.take_news_of_death() ? Acquired::owner_died : Acquired::yes;
    return result;
  }

 private:
  std::optional<RLock> own_;
  RLock& lock_;
};

template <Shareable T>
class Value {
 public:
  explicit Value(const T& initial = T{}) { *value_ = initial; }
  /// With a lock that others use, too, and that outlives it.
  Value(const T& initial, RLock& lock) : lock_(lock) { *value_ = initial; }
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;

  T get(Acquired* told = nullptr) const {
    return lock_.read(told, [&] { return *value_; });
  }
  Acquired set(const T& value) {
    return lock_.change([&] { *value_ = value; });
  }
  /// Calls change(T&) under the lock: read, change and write are one step for everybody else.
  template <typename Change>
  Acquired update(Change change) {
    return lock_.change([&] { change(*value_); });
  }
  /// To be held over several accesses.
  RLock& get_lock() const { return lock_.lock(); }
  /// The object itself, without the lock.
  T& get_obj() const { return *value_; }

 private:
  SharedObjectLock lock_;
  RawValue<T> value_;
};

template <Shareable T>
class Array {
 public:
  /// `count` objects, each value-initialised.
  explicit Array(std::size_t count) : values_(count) {}
  Array(std::size_t count, RLock& lock) : lock_(lock), values_(count) {}
  explicit Array(std::span<const T> initial) : Array(initial.size()) {
    std::ranges::copy(initial, values_.data());
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  std::size_t size() const { return values_.size(); }
  /// std::out_of_range outside [0, size()).
  T get(std::size_t index, Acquired* told = nullptr) const {
    return lock_.read(told, [&] { return part(index, 1).front(); });
  }
  Acquired set(std::size_t index, const T& value) {
    return lock_.change([&] { part(index, 1).front() = value; });
  }
  /// A copy of `count` objects from `first` on, as they were at one moment. std::out_of_range when
  /// they are not all within.
  std::vector<T> get_slice(std::size_t first, std::size_t count, Acquired* told = nullptr) const {
    return lock_.read(told, [&] {
      const auto slice = part(first, count);
      return std::vector<T>(slice.begin(), slice.end());
    });
  }
  Acquired set_slice(std::size_t first, std::span<const T> values) {
    return lock_.change([&] { std::ranges::copy(values, part(first, values.size()).begin()); });
  }
  /// Calls change(std::span<T>) under the lock.
  template <typename Change>
  Acquired update(Change change) {
    return lock_.change([&] { change(values_.all()); });
  }
  /// To be held over several accesses.
  RLock& get_lock() const { return lock_.lock(); }
  /// The objects themselves, without the lock.
  std::span<T> get_obj() const { return values_.all(); }

 private:
  std::span<T> part(std::size_t first, std::size_t count) const {
    if (first > size() || count > size() - first)
      throw std::out_of_range("index outside the shared array");
    return values_.all().subspan(first, count);
  }
  SharedObjectLock lock_;
  RawArray<T> values_;
};

}  // namespace forkecho::mp
