// What crosses to a worker of a Pool and back: a task is a function and the arguments of one or
// more calls of it; the answer is, for each call, a value or a RemoteError.
//
// A function crosses as an address: workers are forks of the pool's maker, so that what was in the
// program when the pool was made lies at the same address there. (A library that was loaded later
// does not.) Beside it goes the address of a trampoline, made by the compiler for that function's
// type, which knows how to decode the arguments and to encode the result.
//
// Used by Pool and its workers alone.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/mp/codec.h"
#include "common/mp/remote_error.h"

namespace forkecho::mp {
namespace detail {

template <typename F>
inline constexpr bool function_pointer_v =
    std::is_pointer_v<F>&& std::is_function_v<std::remove_pointer_t<F>>;

/// A lambda without captures, or a function object without state: every process can make one.
template <typename F>
inline constexpr bool stateless_v = std::is_empty_v<F>&& std::is_default_constructible_v<F>;

}  // namespace detail

/// What a worker can be asked to call.
template <typename F>
concept TaskFunction = detail::function_pointer_v<F> || detail::stateless_v<F>;

namespace detail {

/// The address of any function.
using Address = void (*)();
/// Decodes and makes `calls` calls of `function`; appends an answer for each.
using Trampoline = void (*)(Address function, std::uint32_t calls, Decoder& from, Encoder& to);

/// Begins the message to a worker.
struct TaskHeader {
  std::uint64_t ticket = 0;         // which hand-out this is (pool_worker.h); 0: leave
  Trampoline trampoline = nullptr;  // nullptr: leave
  Address function = nullptr;       // nullptr: the trampoline makes its own
  std::uint32_t calls = 0;
  std::uint32_t reserved = 0;
};

/// Begins the message from a worker; a `calls`-fold of "bool, value or RemoteError" follows.
struct AnswerHeader {
  std::uint64_t ticket = 0;  // 0: the initializer failed, and one RemoteError follows
  std::uint64_t not_received =
      0;  // 1: the worker could not receive it, and one RemoteError follows
};

/// The parameter types of a function, when it has but one signature.
template <typename... P>
struct Parameters {};

template <typename F>
struct ParametersOf;
template <typename R, typename... P>
struct ParametersOf<R (*)(P...)> : std::type_identity<Parameters<P...>> {};
template <typename R, typename... P>
struct ParametersOf<R (*)(P...) noexcept> : std::type_identity<Parameters<P...>> {};
template <typename R, typename C, typename... P>
struct ParametersOf<R (C::*)(P...)> : std::type_identity<Parameters<P...>> {};
template <typename R, typename C, typename... P>
struct ParametersOf<R (C::*)(P...) const> : std::type_identity<Parameters<P...>> {};
template <typename R, typename C, typename... P>
struct ParametersOf<R (C::*)(P...) noexcept> : std::type_identity<Parameters<P...>> {};
template <typename R, typename C, typename... P>
struct ParametersOf<R (C::*)(P...) const noexcept> : std::type_identity<Parameters<P...>> {};

/// The types that F is called with when it is given Args: its own parameters' when it has one
/// signature, so that what crosses was converted before, else those of the arguments.
template <typename F, typename... Args>
struct CalledWith : std::type_identity<Parameters<std::decay_t<Args>...>> {};
template <typename F, typename... Args>
requires function_pointer_v<F>
struct CalledWith<F, Args...> : ParametersOf<F> {
};
template <typename F, typename... Args>
requires(!function_pointer_v<F> && requires { &F::operator(); }) struct CalledWith<F, Args...>
    : ParametersOf<decltype(&F::operator())> {
};

/// What stands for the result of a void function where a value is needed.
template <typename R>
using Stored = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <typename F, typename P>
struct CallTraits;

/// Of a call of F with parameters P; none when F cannot be called so.
template <typename F, typename... P>
requires std::is_invocable_v<F&, P...>
struct CallTraits<F, Parameters<P...>> {
  using Arguments = std::tuple<std::decay_t<P>...>;
  using Returned = std::invoke_result_t<F&, P...>;
  using Result = std::conditional_t<std::is_void_v<Returned>, void, std::decay_t<Returned>>;
  static constexpr bool crosses = Crosses<Arguments> && Crosses<Stored<Result>>;

  static Result call(F& function, Arguments& arguments) {
    return [&]<std::size_t... I>(std::index_sequence<I...>)->Result {
      return function(static_cast<P&&>(std::get<I>(arguments))...);
    }
    (std::index_sequence_for<P...>{});
  }
};

template <typename F, typename... Args>
using Call = CallTraits<F, typename CalledWith<F, Args...>::type>;

/// The result type of F called with Args.
template <typename F, typename... Args>
using CallResult = typename Call<std::decay_t<F>, Args...>::Result;

/// Appends that calls failed, `calls` of them.
inline void answer_with_error(const RemoteError& error, std::uint32_t calls, Encoder& to) {
  for (; calls > 0; --calls) {
    to.put(false);
    to.put(error);
  }
}

/// Makes one call and appends its answer.
template <typename CallType, typename F>
void answer_call(F& function, typename CallType::Arguments& arguments, Encoder& to) {
  const std::size_t begin = to.view().size();
  try {
    to.put(true);
    if constexpr (std::is_void_v<typename CallType::Result>) {
      CallType::call(function, arguments);
      to.put(std::monostate{});
    } else {
      to.put(CallType::call(function, arguments));
    }
  } catch (...) {
    const RemoteError error = RemoteError::of_current_exception();
    to.cut(begin);  // what was encoded before it failed
    answer_with_error(error, 1, to);
  }
}

template <typename F>
F function_at(Address address) {
  if constexpr (function_pointer_v<F>) {
    return reinterpret_cast<F>(address);
  } else {
    return F{};
  }
}

template <typename F>
Address address_of(const F& function) {
  if constexpr (function_pointer_v<F>) {
    return reinterpret_cast<Address>(function);
  } else {
    return nullptr;
  }
}

/// A Trampoline.
template <typename F, typename CallType>
void make_calls(Address address, std::uint32_t calls, Decoder& from, Encoder& to) {
  F function = function_at<F>(address);
  for (; calls > 0; --calls) {
    std::optional<typename CallType::Arguments> arguments;
    try {
      arguments.emplace(from.get<typename CallType::Arguments>());
    } catch (...) {
      // The rest cannot be found any more.
      return answer_with_error(RemoteError::of_current_exception(), calls, to);
    }
    answer_call<CallType>(function, *arguments, to);
  }
}

/// Writes the message of one task: the function, then the arguments of each call.
/// std::invalid_argument for a function pointer that points to none.
template <typename F, typename CallType>
class TaskWriter {
 public:
  explicit TaskWriter(const F& function) {
    if constexpr (function_pointer_v<F>) {
      if (function == nullptr) throw std::invalid_argument("a task without a function");
    }
    header_.trampoline = make_calls<F, CallType>;
    header_.function = address_of(function);
    encoder_.put(header_);
  }
  void add(const typename CallType::Arguments& arguments) {
    encoder_.put(arguments);
    ++header_.calls;
  }
  std::uint32_t calls() const { return header_.calls; }
  Bytes take() {
    Bytes message = encoder_.take();
    std::memcpy(message.data(), &header_, sizeof header_);
    return message;
  }

 private:
  TaskHeader header_;
  Encoder encoder_;
};

/// What came of a call: the value, or an error to be thrown.
template <typename R>
using Answer = std::variant<Stored<R>, std::exception_ptr>;

template <typename R>
Answer<R> decode_answer(Decoder& from) {
  if (from.get<bool>()) return Answer<R>(std::in_place_index<0>, from.get<Stored<R>>());
  return Answer<R>(std::in_place_index<1>, std::make_exception_ptr(from.get<RemoteError>()));
}

}  // namespace detail
}  // namespace forkecho::mp
