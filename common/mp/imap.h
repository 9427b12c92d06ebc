// Imap<R>: the results of Pool::imap and imap_unordered, one after the other.
//
//   for (const int square : pool.imap(square_of, numbers)) ...
//
// An error is thrown where its value would have come; afterwards the next can be asked for. It
// advances as the pool does (pool.h). Of the pool's maker alone; not safe between threads.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/mp/async_result.h"
#include "common/mp/pool_core.h"
#include "common/mp/task.h"

namespace forkecho::mp {

namespace detail {

enum class Order { of_calls, of_arrival };

/// Answers that have come and were not asked for yet.
template <typename R>
class ImapState final : public ResultSink {
 public:
  ImapState(std::size_t calls, Order order)
      : order_(order), left_(calls), answers_(order == Order::of_calls ? calls : 0) {}

  void take(std::size_t first, std::size_t count, Decoder& answers) override {
    for (std::size_t i = first; i < first + count; ++i) put(i, answer_in<R>(answers));
  }
  void fail(std::size_t first, std::size_t count, std::exception_ptr error) override {
    for (std::size_t i = first; i < first + count; ++i)
      put(i, Answer<R>(std::in_place_index<1>, error));
  }
  void abandon(std::exception_ptr error) override { abandoned_ = std::move(error); }

  /// How many are still to be given out.
  std::size_t left() const { return left_; }
  bool next_is_there() const {
    return left_ == 0 || abandoned_ || (!answers_.empty() && answers_.front().has_value());
  }
  /// The next value, or its error thrown.
  Stored<R> take_next() {
    if (answers_.empty() || !answers_.front()) {
      left_ = 0;
      std::rethrow_exception(abandoned_);
    }
    Answer<R> next = std::move(*answers_.front());
    answers_.pop_front();
    ++given_;
    --left_;
    if (next.index() == 1) std::rethrow_exception(std::get<1>(next));
    return std::get<0>(std::move(next));
  }

 private:
  void put(std::size_t call, Answer<R> answer) {
    if (order_ == Order::of_arrival) {
      answers_.emplace_back(std::move(answer));
    } else {
      answers_[call - given_].emplace(std::move(answer));
    }
  }

  Order order_;
  std::size_t left_;
  std::size_t given_ = 0;
  std::deque<std::optional<Answer<R>>> answers_;
  std::exception_ptr abandoned_;
};

}  // namespace detail

template <typename R>
class Imap {
 public:
  /// For Pool.
  Imap(std::weak_ptr<detail::PoolCore> pool, std::shared_ptr<detail::ImapState<R>> state)
      : pool_(std::move(pool)), state_(std::move(state)) {}

  /// The next result, waited for; empty after the last. Throws the error of a call that failed, as
  /// AsyncResult::get.
  std::optional<detail::Stored<R>> next() {
    wait(sys::Deadline::never());
    if (state_->left() == 0) return std::nullopt;
    return state_->take_next();
  }
  /// True once next() would return at once; false when the deadline passed first.
  bool wait(sys::Deadline deadline = sys::Deadline::never()) const {
    if (state_->next_is_there()) return true;
    const auto pool = pool_.lock();
    if (!pool) throw std::logic_error("the results of a pool that belongs to another process");
    return pool->wait([this] { return state_->next_is_there(); }, deadline);
  }

  class Iterator {
   public:
    using value_type = detail::Stored<R>;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(Imap& imap) : imap_(&imap), value_(imap.next()) {}
    value_type& operator*() { return *value_; }
    Iterator& operator++() {
      value_ = imap_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !value_.has_value(); }

   private:
    Imap* imap_;
    std::optional<value_type> value_;
  };
  /// The results from the next one on; each can be gone through once.
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  std::weak_ptr<detail::PoolCore> pool_;
  std::shared_ptr<detail::ImapState<R>> state_;
};

}  // namespace forkecho::mp
