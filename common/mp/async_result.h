// AsyncResult<R>: what apply_async and map_async of a Pool promise: a value of type R, or an error.
//
// It advances as the pool does: whenever its maker is in a call of the pool or of one of its
// results (pool.h). It may outlive the pool, whose end makes a result that is not there a
// PoolTerminated. Of the pool's maker alone; not safe between threads.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "common/mp/pool_core.h"
#include "common/mp/task.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

namespace detail {

template <typename R>
struct CallbackOf : std::type_identity<std::function<void(const R&)>> {};
template <>
struct CallbackOf<void> : std::type_identity<std::function<void()>> {};

}  // namespace detail

/// Called once, in the pool's maker, within the call of the pool in which the result arrives; one
/// of the two. They may use the pool. What they throw leaves that call of the pool. The end of the
/// pool (terminate, destruction) calls neither.
template <typename R>
struct Callbacks {
  typename detail::CallbackOf<R>::type callback{};
  std::function<void(const std::exception&)> error_callback{};
};

namespace detail {

/// What is known of a result; shared by its AsyncResult and the pool.
template <typename R>
class ResultState : public ResultSink {
 public:
  explicit ResultState(Callbacks<R> callbacks) : callbacks_(std::move(callbacks)) {}
  bool ready() const { return value_.has_value() || error_; }
  bool successful() const { return value_.has_value(); }
  /// Throws the error if that is what came.
  Stored<R>& value() {
    if (error_) std::rethrow_exception(error_);
    return *value_;
  }
  void abandon(std::exception_ptr error) override {
    if (!ready()) error_ = std::move(error);
  }

 protected:
  /// The end: the value, or the error; calls the callback.
  void finish(Stored<R> value) {
    value_.emplace(std::move(value));
    const auto callback = std::exchange(callbacks_.callback, {});
    if (!callback) return;
    if constexpr (std::is_void_v<R>) {
      callback();
    } else {
      callback(*value_);
    }
  }
  void finish(std::exception_ptr error) {
    error_ = std::move(error);
    const auto callback = std::exchange(callbacks_.error_callback, {});
    if (!callback) return;
    try {
      std::rethrow_exception(error_);
    } catch (const std::exception& what) {
      callback(what);
    }
  }

 private:
  std::optional<Stored<R>> value_;
  std::exception_ptr error_;
  Callbacks<R> callbacks_;
};

/// The answer to one call; bytes that are no answer are its error.
template <typename R>
Answer<R> answer_in(Decoder& from) {
  try {
    return decode_answer<R>(from);
  } catch (...) {
    return Answer<R>(std::in_place_index<1>, std::current_exception());
  }
}

/// Of one call.
template <typename R>
class SingleState final : public ResultState<R> {
 public:
  using ResultState<R>::ResultState;
  void take(std::size_t, std::size_t, Decoder& answers) override {
    Answer<R> answer = answer_in<R>(answers);
    if (answer.index() == 0) {
      this->finish(std::get<0>(std::move(answer)));
    } else {
      this->finish(std::get<1>(answer));
    }
  }
  void fail(std::size_t, std::size_t, std::exception_ptr error) override {
    this->finish(std::move(error));
  }
};

/// Of many calls: all values in the order of the calls, or the error of the first that failed.
template <typename T>
using MapResult = std::conditional_t<std::is_void_v<T>, void, std::vector<Stored<T>>>;

template <typename T>
class MapState final : public ResultState<MapResult<T>> {
 public:
  MapState(std::size_t calls, Callbacks<MapResult<T>> callbacks)
      : ResultState<MapResult<T>>(std::move(callbacks)), values_(calls), left_(calls) {}

  void take(std::size_t first, std::size_t count, Decoder& answers) override {
    for (std::size_t i = first; i < first + count; ++i) {
      Answer<T> answer = answer_in<T>(answers);
      if (answer.index() == 0) {
        values_[i].emplace(std::get<0>(std::move(answer)));
      } else {
        note_error(i, std::get<1>(answer));
      }
    }
    end_of_calls(count);
  }
  void fail(std::size_t first, std::size_t count, std::exception_ptr error) override {
    note_error(first, std::move(error));
    end_of_calls(count);
  }
  /// Of no calls at all.
  void finish_if_empty() { end_of_calls(0); }

 private:
  void note_error(std::size_t call, std::exception_ptr error) {
    if (call >= first_failed_) return;
    first_failed_ = call;
    error_ = std::move(error);
  }
  void end_of_calls(std::size_t count) {
    left_ -= count;
    if (left_ > 0) return;
    if (error_) return this->finish(error_);
    if constexpr (std::is_void_v<T>) {
      this->finish(std::monostate{});
    } else {
      std::vector<T> all;
      all.reserve(values_.size());
      for (auto& value : values_) all.push_back(std::move(*value));
      values_.clear();
      this->finish(std::move(all));
    }
  }

  std::vector<std::optional<Stored<T>>> values_;
  std::size_t left_;
  std::size_t first_failed_ = static_cast<std::size_t>(-1);
  std::exception_ptr error_;
};

}  // namespace detail

template <typename R>
class [[nodiscard]] AsyncResult {
 public:
  /// For Pool.
  AsyncResult(std::weak_ptr<detail::PoolCore> pool, std::shared_ptr<detail::ResultState<R>> state)
      : pool_(std::move(pool)), state_(std::move(state)) {}
  AsyncResult(AsyncResult&&) noexcept = default;
  AsyncResult& operator=(AsyncResult&&) noexcept = default;

  /// Waits for the result. Throws what ended the task instead: RemoteError for what the task threw,
  /// WorkerDied, PoolBroken, PoolTerminated. May be called again.
  R get() const& {
    wait(sys::Deadline::never());
    if constexpr (!std::is_void_v<R>) {
      return state_->value();
    } else {
      state_->value();
    }
  }
  R get() && {
    wait(sys::Deadline::never());
    if constexpr (!std::is_void_v<R>) {
      return std::move(state_->value());
    } else {
      state_->value();
    }
  }
  /// As get(); empty when the deadline passed first (for void: false).
  std::conditional_t<std::is_void_v<R>, bool, std::optional<detail::Stored<R>>> get(
      sys::Deadline deadline) const {
    if (!wait(deadline)) return {};
    if constexpr (std::is_void_v<R>) {
      state_->value();
      return true;
    } else {
      return state_->value();
    }
  }
  /// True once the result or the error is there; false when the deadline passed first.
  bool wait(sys::Deadline deadline = sys::Deadline::never()) const {
    if (state_->ready()) return true;
    const auto pool = pool_.lock();
    if (!pool) throw std::logic_error("the result of a pool that belongs to another process");
    return pool->wait([this] { return state_->ready(); }, deadline);
  }
  /// Whether it is there; takes in what has arrived, without waiting.
  bool ready() const { return wait(sys::Deadline::immediately()); }
  /// Whether it is a value; std::logic_error when nothing is there yet.
  bool successful() const {
    if (!ready()) throw std::logic_error("the result is not ready");
    return state_->successful();
  }

 private:
  std::weak_ptr<detail::PoolCore> pool_;
  std::shared_ptr<detail::ResultState<R>> state_;
};

}  // namespace forkecho::mp
