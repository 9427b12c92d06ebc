#include "common/mp/task.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace forkecho::mp::detail {
namespace {

int half(int n) {
  if (n % 2 != 0) throw std::domain_error("odd");
  return n / 2;
}

/// What a worker answers to a task, without a worker.
template <typename F, typename... Args>
Bytes answers_to(F function, const std::vector<std::tuple<Args...>>& calls) {
  using CallType = Call<F, Args...>;
  TaskWriter<F, CallType> writer(function);
  for (const auto& arguments : calls)
    writer.add(
        std::apply([](auto... each) { return typename CallType::Arguments(each...); }, arguments));
  const Bytes message = writer.take();
  Decoder from(message);
  const auto header = from.get<TaskHeader>();
  Encoder to;
  header.trampoline(header.function, header.calls, from, to);
  EXPECT_EQ(header.calls, calls.size());
  EXPECT_EQ(from.left(), 0u);
  return to.take();
}

/// The value, or the text of the error.
std::string text_of(Answer<int> answer) {
  if (answer.index() == 0) return std::to_string(std::get<0>(answer));
  try {
    std::rethrow_exception(std::get<1>(answer));
  } catch (const RemoteError& error) {
    return error.what();
  }
}

TEST(Task, EachCallHasAnAnswerOfItsOwn) {
  const Bytes bytes = answers_to(half, std::vector<std::tuple<int>>{{4}, {5}, {6}});
  Decoder answers(bytes);
  EXPECT_EQ(text_of(decode_answer<int>(answers)), "2");
  EXPECT_EQ(text_of(decode_answer<int>(answers)), "std::domain_error: odd");
  EXPECT_EQ(text_of(decode_answer<int>(answers)), "3");
  EXPECT_EQ(answers.left(), 0u);
}

TEST(Task, AVoidFunctionAnswersThatItReturned) {
  const Bytes bytes = answers_to([](int) {}, std::vector<std::tuple<int>>{{1}});
  Decoder answers(bytes);
  EXPECT_EQ(decode_answer<void>(answers).index(), 0u);
  EXPECT_EQ(answers.left(), 0u);
}

TEST(Task, ArgumentsAreOfTheParametersTypes) {
  using std::is_same_v;
  const auto plain = [](const std::string&, double, int&) { return 'c'; };
  using Plain = std::remove_const_t<decltype(plain)>;
  static_assert(is_same_v<Call<Plain, const char*, int, int&>::Arguments,
                          std::tuple<std::string, double, int>>);
  static_assert(is_same_v<CallResult<Plain, const char*, int, int&>, char>);
  const auto any = [](auto a) { return a; };
  using Any = std::remove_const_t<decltype(any)>;
  static_assert(is_same_v<Call<Any, const long&>::Arguments, std::tuple<long>>);
  static_assert(is_same_v<CallResult<int (*)(int) noexcept, int>, int>);
  static_assert(is_same_v<CallResult<const int& (*)(int), int>, int>);  // a copy crosses
}

/// Fails on the way in, or on the way out.
struct Fragile {
  int value = 0;
  void encode(Encoder& to) const {
    to.put(value);
    if (value == 13) throw std::length_error("half of it was written");
  }
  static Fragile decode(Decoder& from) {
    const Fragile read{from.get<int>()};
    if (read.value == 66) throw DecodeError("unreadable");
    return read;
  }
};

TEST(Task, AResultThatCannotBeEncodedIsAnErrorAndNothingElseIsHarmed) {
  const Bytes bytes =
      answers_to([](int n) { return Fragile{n}; }, std::vector<std::tuple<int>>{{1}, {13}, {2}});
  Decoder answers(bytes);
  EXPECT_EQ(std::get<0>(decode_answer<Fragile>(answers)).value, 1);
  EXPECT_EQ(decode_answer<Fragile>(answers).index(), 1u);
  EXPECT_EQ(std::get<0>(decode_answer<Fragile>(answers)).value, 2);
  EXPECT_EQ(answers.left(), 0u);
}

TEST(Task, ArgumentsThatCannotBeDecodedAreTheErrorOfAllThatFollow) {
  const auto function = [](Fragile each) { return each.value; };
  using CallType = Call<std::remove_const_t<decltype(function)>, Fragile>;
  TaskWriter<std::remove_const_t<decltype(function)>, CallType> writer(function);
  for (const int value : {1, 66, 2}) writer.add({Fragile{value}});
  const Bytes message = writer.take();
  Decoder from(message);
  const auto header = from.get<TaskHeader>();
  Encoder to;
  header.trampoline(header.function, header.calls, from, to);
  Decoder answers(to.view());
  EXPECT_EQ(text_of(decode_answer<int>(answers)), "1");
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(text_of(decode_answer<int>(answers)), "forkecho::mp::DecodeError: unreadable");
  EXPECT_EQ(answers.left(), 0u);
}

TEST(Task, AFunctionPointerThatPointsToNoneIsRefused) {
  using Function = int (*)(int);
  using Writer = TaskWriter<Function, Call<Function, int>>;
  EXPECT_THROW(Writer{Function{nullptr}}, std::invalid_argument);
  EXPECT_NO_THROW(Writer{Function{std::abs}});
}

TEST(Task, OnlyWhatNeedsNothingElseIsAFunctionForATask) {
  static_assert(TaskFunction<int (*)(int)>);
  static_assert(TaskFunction<std::plus<>>);
  static_assert(!TaskFunction<std::function<int(int)>>);
  static_assert(!TaskFunction<int*>);
}

}  // namespace
}  // namespace forkecho::mp::detail
