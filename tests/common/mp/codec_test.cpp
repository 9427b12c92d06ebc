#include "common/mp/codec.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string_view>

namespace forkecho::mp {
namespace {

template <typename T>
T there_and_back(const T& value) {
  return with_encoded(value, [](BytesView bytes) { return decode<T>(bytes); });
}

struct Point {
  int x;
  double y;
  bool operator==(const Point&) const = default;
};

/// Not trivially copyable, and it has words of its own for how it crosses.
struct Named {
  std::string name;
  std::vector<Point> points;
  bool operator==(const Named&) const = default;
  void encode(Encoder& to) const {
    to.put(name);
    to.put(points);
  }
  static Named decode(Decoder& from) {
    auto name = from.get<std::string>();
    return {std::move(name), from.get<std::vector<Point>>()};
  }
};

TEST(Codec, EachKindOfValueComesBackEqual) {
  EXPECT_EQ(there_and_back(42), 42);
  EXPECT_EQ(there_and_back(std::numeric_limits<double>::denorm_min()),
            std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(there_and_back(Point{3, 0.1}), (Point{3, 0.1}));
  EXPECT_EQ(there_and_back(std::string("a\0b\xff", 4)), std::string("a\0b\xff", 4));
  EXPECT_EQ(there_and_back(std::string()), "");
  EXPECT_EQ(there_and_back(std::vector<int>{}), std::vector<int>{});
  EXPECT_EQ(there_and_back(std::vector<int>{1, 2, 3}), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(there_and_back(std::vector<bool>{true, false, true}),
            (std::vector<bool>{true, false, true}));
  EXPECT_EQ(there_and_back(std::vector<std::string>{"x", "", "yz"}),
            (std::vector<std::string>{"x", "", "yz"}));
  EXPECT_EQ(
      (there_and_back(std::tuple<int, std::string, std::optional<int>>{1, "a", std::nullopt})),
      (std::tuple<int, std::string, std::optional<int>>{1, "a", std::nullopt}));
  EXPECT_EQ((there_and_back(std::pair<std::string, int>{"k", 7})),
            (std::pair<std::string, int>{"k", 7}));
  EXPECT_EQ((there_and_back(std::array<std::string, 2>{"p", "q"})),
            (std::array<std::string, 2>{"p", "q"}));
  EXPECT_EQ((there_and_back(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}})),
            (std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}}));
  EXPECT_EQ(there_and_back(std::optional<std::string>("s")), std::optional<std::string>("s"));
  EXPECT_EQ(there_and_back(Named{"n", {{1, 2}, {3, 4}}}), (Named{"n", {{1, 2}, {3, 4}}}));
}

TEST(Codec, KnowsWhatCannotCross) {
  struct NoCopy {
    std::unique_ptr<int> own;
  };
  static_assert(Crosses<int> && Crosses<Point> && Crosses<Named> && Crosses<std::vector<Named>>);
  static_assert(!Crosses<int*> && !Crosses<const char*> && !Crosses<std::string_view>);
  static_assert(!Crosses<std::span<int>> && !Crosses<std::reference_wrapper<int>>);
  static_assert(!Crosses<NoCopy> && !Crosses<std::vector<NoCopy>> &&
                !Crosses<std::tuple<int, int*>>);
  static_assert(!Crosses<std::optional<int*>> && !Crosses<void (*)()>);
  static_assert(!Crosses<char[3]> && Crosses<std::array<char, 3>>);
}

TEST(Codec, BytesThatEndTooSoonAreAnErrorAndNotAReadBeyondThem) {
  Encoder encoder;
  encoder.put(std::vector<std::string>{"one", "two"});
  const BytesView whole = encoder.view();
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_THROW(decode<std::vector<std::string>>(whole.first(size)), DecodeError) << size;
}

TEST(Codec, ACountThatNoMessageCouldHoldIsRefusedBeforeMemoryIsTaken) {
  Encoder encoder;
  encoder.put(std::uint64_t{1} << 62);
  EXPECT_THROW(decode<std::vector<int>>(encoder.view()), DecodeError);
  EXPECT_THROW(decode<std::string>(encoder.view()), DecodeError);
  EXPECT_THROW(decode<std::vector<std::string>>(encoder.view()), DecodeError);
  EXPECT_THROW((decode<std::map<std::string, int>>(encoder.view())), DecodeError);
}

TEST(Codec, AByteThatIsNeitherTrueNorFalseIsAnError) {
  const std::array<std::byte, 2> bytes{std::byte{2}, std::byte{0}};
  EXPECT_THROW(decode<bool>(BytesView(bytes).first(1)), DecodeError);
  EXPECT_THROW(decode<std::optional<char>>(bytes), DecodeError);
  EXPECT_EQ(there_and_back(true), true);
  EXPECT_EQ(there_and_back(false), false);
}

TEST(Codec, BytesLeftOverAreAnError) {
  Encoder encoder;
  encoder.put(1);
  encoder.put(2);
  EXPECT_THROW(decode<int>(encoder.view()), DecodeError);
}

}  // namespace
}  // namespace forkecho::mp
