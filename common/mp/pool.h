// Pool: worker processes that are given tasks, as Python's multiprocessing.Pool.
//
//   int square(int n) { return n * n; }
//   mp::Pool pool(4);
//   pool.apply(square, 5);                                    // 25
//   pool.map(square, std::vector{1, 2, 3});                   // {1, 4, 9}
//   auto result = pool.apply_async([](int n) { return n + 1; }, 1);
//   result.get();                                             // 2
//
// A task is a function, or a lambda without captures, that the program had when the pool was made;
// its arguments and its result cross as codec.h says. Tasks begin in the order in which they were
// handed in. What a task throws is thrown as RemoteError where its result is asked for.
//
// The library has no threads: results are taken in, callbacks called, and waiting tasks handed out
// whenever the maker is in a call of the pool or of one of its results (apply, get, wait, ready,
// next, join, and also apply_async), and at no other time. So that workers stay busy meanwhile,
// each has a second task to go on with; when another has nothing to do it is given that, if it was
// not begun.
//
// When a worker is killed, at any moment, or leaves or crashes, the pool goes on: a new worker
// takes its place; a result that it had sent is not lost; a task that it had not begun is given to
// another (it is WorkerDied when ten in a row died with it as the next: most_deaths_before_begun);
// a task that a worker cannot receive, for want of a descriptor or of memory, is RemoteError; the
// task that it was working on is WorkerDied, or begun again (OnWorkerDeath::retry), as
// one whole where it is a chunk of map. Each task ends exactly once: with its value, an error of
// its own, WorkerDied, PoolBroken or PoolTerminated. An initializer that fails three times in a row
// (a kill is no failure) breaks the pool: every task is PoolBroken then. A worker that is stopped
// (SIGSTOP) is waited for, until terminate().
//
// Workers are daemon processes: they die with the pool's maker, however it dies, and may not start
// processes of their own. A pool is of the process that made it (std::logic_error in any other) and
// of one thread at a time.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/mp/async_result.h"
#include "common/mp/cpu_count.h"
#include "common/mp/imap.h"
#include "common/mp/pool_core.h"
#include "common/mp/task.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

class Pool {
 public:
  /// Starts the workers. Throws std::invalid_argument when `processes` is below 1 or
  /// maxtasksperchild is 0, std::system_error when the system refuses a process or a descriptor,
  /// std::logic_error in a daemon process.
  explicit Pool(int processes = static_cast<int>(cpu_count()), PoolOptions options = {});
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  /// As terminate(), in the pool's maker.
  ~Pool() = default;

  // The calls below throw std::logic_error once the pool is closed or terminated, PoolBroken,
  // std::length_error for a task above Connection::largest_message, and std::invalid_argument for a
  // null pointer to a function.

  /// Calls function(arguments...) in a worker, and waits for what it returns.
  template <typename F, typename... Args>
  detail::CallResult<F, Args...> apply(F function, Args&&... arguments) {
    return apply_async(std::move(function), std::forward<Args>(arguments)...).get();
  }
  template <typename F, typename... Args>
  AsyncResult<detail::CallResult<F, Args...>> apply_async(F function, Args&&... arguments) {
    return apply_async(Callbacks<detail::CallResult<F, Args...>>{}, std::move(function),
                       std::forward<Args>(arguments)...);
  }
  /// apply_async({.callback = ..., .error_callback = ...}, function, arguments...)
  template <typename F, typename... Args>
  AsyncResult<detail::CallResult<F, Args...>> apply_async(
      Callbacks<detail::CallResult<F, Args...>> callbacks, F function, Args&&... arguments);

  /// function(item) for each of `items`: all results in the order of the items. `chunksize` items
  /// make a task; 0: so many that each worker gets four tasks. All calls are made even if some
  /// fail; the error of the first that failed, in the order of the items, is then thrown.
  template <typename F, std::ranges::input_range Items>
  auto map(F function, Items&& items, std::size_t chunksize = 0) {
    return map_async(std::move(function), std::forward<Items>(items), chunksize).get();
  }
  template <typename F, std::ranges::input_range Items>
  auto map_async(
      F function, Items&& items, std::size_t chunksize = 0,
      Callbacks<detail::MapResult<detail::CallResult<F, std::ranges::range_reference_t<Items>>>>
          callbacks = {});
  /// As map, where each item is a tuple (or pair, or array) of all arguments of one call.
  template <typename F, std::ranges::input_range Tuples>
  auto starmap(F function, Tuples&& tuples, std::size_t chunksize = 0) {
    return starmap_async(std::move(function), std::forward<Tuples>(tuples), chunksize).get();
  }
  template <typename F, std::ranges::input_range Tuples>
  auto starmap_async(F function, Tuples&& tuples, std::size_t chunksize = 0);
  /// As map, but the results come one by one, in the order of the items or as they arrive. All
  /// tasks are handed in at once.
  template <typename F, std::ranges::input_range Items>
  auto imap(F function, Items&& items, std::size_t chunksize = 1) {
    return imap_in(detail::Order::of_calls, std::move(function), std::forward<Items>(items),
                   chunksize);
  }
  template <typename F, std::ranges::input_range Items>
  auto imap_unordered(F function, Items&& items, std::size_t chunksize = 1) {
    return imap_in(detail::Order::of_arrival, std::move(function), std::forward<Items>(items),
                   chunksize);
  }

  /// No task is taken any more; those handed in are done.
  void close() { core_->close(); }
  /// Ends the workers at once: SIGTERM, and SIGKILL to those that are there a second later. What
  /// was not done is PoolTerminated.
  void terminate() { core_->terminate(); }
  /// Waits until every task is done and every worker gone; false when the deadline passed first.
  /// std::logic_error before close() or terminate().
  bool join(sys::Deadline deadline = sys::Deadline::never()) { return core_->join(deadline); }

  std::size_t processes() const { return core_->processes(); }
  /// Of the workers there are now.
  std::vector<pid_t> worker_pids() const { return core_->worker_pids(); }

 private:
  template <typename Call, typename F, typename Items, typename ToArguments>
  void submit_chunks(const F& function, Items& items, std::size_t chunksize,
                     const std::shared_ptr<detail::ResultSink>& sink, ToArguments to_arguments);
  template <typename F, typename Items>
  auto imap_in(detail::Order order, F function, Items&& items, std::size_t chunksize);
  std::size_t default_chunksize(std::size_t items) const;

  std::shared_ptr<detail::PoolCore> core_;
};

namespace detail {

/// The one line that the compiler says for a task that cannot be one.
template <typename F, typename Call>
consteval bool check_task() {
  static_assert(
      TaskFunction<F>,
      "a pool's task is a function or a lambda without captures: what it needs crosses as "
      "an argument (common/mp/pool.h)");
  static_assert(!TaskFunction<F> || Call::crosses,
                "an argument or the result of this task cannot cross to another process "
                "(common/mp/codec.h says what can)");
  return TaskFunction<F> && Call::crosses;
}

/// As starmap calls with a tuple's elements.
template <typename F, typename Tuple>
struct StarCall;
template <typename F, typename Tuple>
requires requires {
  std::tuple_size<Tuple>::value;
}
struct StarCall<F, Tuple> {
  template <std::size_t... I>
  static Call<F, std::tuple_element_t<I, Tuple>...> call_of(std::index_sequence<I...>);
  using type = decltype(call_of(std::make_index_sequence<std::tuple_size_v<Tuple>>()));
};

/// The number of items, where that can be told without going through them for good.
template <typename Items>
std::size_t count_of(Items& items) {
  return static_cast<std::size_t>(std::ranges::distance(items));
}

/// Calls use(range) with items that can be counted: with the range itself, or with a copy of what
/// can be gone through but once.
template <typename Items, typename Use>
auto with_countable(Items& items, Use use) {
  if constexpr (std::ranges::forward_range<Items>) {
    return use(items);
  } else {
    std::vector<std::ranges::range_value_t<Items>> copy;
    for (auto&& item : items) copy.push_back(std::forward<decltype(item)>(item));
    return use(copy);
  }
}

}  // namespace detail

template <typename F, typename... Args>
AsyncResult<detail::CallResult<F, Args...>> Pool::apply_async(
    Callbacks<detail::CallResult<F, Args...>> callbacks, F function, Args&&... arguments) {
  using Call = detail::Call<F, Args...>;
  using Result = typename Call::Result;
  core_->check_running();
  auto state = std::make_shared<detail::SingleState<Result>>(std::move(callbacks));
  static_assert(std::is_constructible_v<typename Call::Arguments, Args&&...>,
                "these arguments do not convert to the parameters of the task");
  if constexpr (detail::check_task<F, Call>()) {
    detail::TaskWriter<F, Call> writer(function);
    writer.add(typename Call::Arguments(std::forward<Args>(arguments)...));
    core_->submit(writer.take(), state, 0, 1);
    core_->hand_out_quietly();
  }
  return {core_, std::move(state)};
}

template <typename Call, typename F, typename Items, typename ToArguments>
void Pool::submit_chunks(const F& function, Items& items, std::size_t chunksize,
                         const std::shared_ptr<detail::ResultSink>& sink,
                         ToArguments to_arguments) {
  auto item = std::ranges::begin(items);
  const auto end = std::ranges::end(items);
  for (std::size_t first = 0; item != end;) {
    detail::TaskWriter<F, Call> writer(function);
    for (; item != end && writer.calls() < chunksize; ++item) writer.add(to_arguments(*item));
    const std::size_t calls = writer.calls();
    core_->submit(writer.take(), sink, first, calls);
    core_->hand_out_quietly();
    first += calls;
  }
}

template <typename F, std::ranges::input_range Items>
auto Pool::map_async(
    F function, Items&& items, std::size_t chunksize,
    Callbacks<detail::MapResult<detail::CallResult<F, std::ranges::range_reference_t<Items>>>>
        callbacks) {
  using Call = detail::Call<F, std::ranges::range_reference_t<Items>>;
  using Result = typename Call::Result;
  core_->check_running();
  return detail::with_countable(items, [&](auto& countable) {
    const std::size_t count = detail::count_of(countable);
    auto state = std::make_shared<detail::MapState<Result>>(count, std::move(callbacks));
    if constexpr (detail::check_task<F, Call>()) {
      if (chunksize == 0) chunksize = default_chunksize(count);
      submit_chunks<Call>(function, countable, chunksize, state, [](auto&& item) {
        return typename Call::Arguments(std::forward<decltype(item)>(item));
      });
    }
    if (count == 0) state->finish_if_empty();
    return AsyncResult<detail::MapResult<Result>>(core_, std::move(state));
  });
}

template <typename F, std::ranges::input_range Tuples>
auto Pool::starmap_async(F function, Tuples&& tuples, std::size_t chunksize) {
  using Tuple = std::remove_cvref_t<std::ranges::range_reference_t<Tuples>>;
  using Call = typename detail::StarCall<F, Tuple>::type;
  using Result = typename Call::Result;
  core_->check_running();
  return detail::with_countable(tuples, [&](auto& countable) {
    const std::size_t count = detail::count_of(countable);
    auto state =
        std::make_shared<detail::MapState<Result>>(count, Callbacks<detail::MapResult<Result>>{});
    if constexpr (detail::check_task<F, Call>()) {
      if (chunksize == 0) chunksize = default_chunksize(count);
      submit_chunks<Call>(function, countable, chunksize, state, [](auto&& tuple) {
        return std::apply(
            [](auto&&... each) {
              return typename Call::Arguments(std::forward<decltype(each)>(each)...);
            },
            std::forward<decltype(tuple)>(tuple));
      });
    }
    if (count == 0) state->finish_if_empty();
    return AsyncResult<detail::MapResult<Result>>(core_, std::move(state));
  });
}

template <typename F, typename Items>
auto Pool::imap_in(detail::Order order, F function, Items&& items, std::size_t chunksize) {
  using Call = detail::Call<F, std::ranges::range_reference_t<Items>>;
  using Result = typename Call::Result;
  core_->check_running();
  if (chunksize == 0) throw std::invalid_argument("imap with a chunksize of 0");
  return detail::with_countable(items, [&](auto& countable) {
    auto state = std::make_shared<detail::ImapState<Result>>(detail::count_of(countable), order);
    if constexpr (detail::check_task<F, Call>()) {
      submit_chunks<Call>(function, countable, chunksize, state, [](auto&& item) {
        return typename Call::Arguments(std::forward<decltype(item)>(item));
      });
    }
    return Imap<Result>(core_, std::move(state));
  });
}

}  // namespace forkecho::mp
