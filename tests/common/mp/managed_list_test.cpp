#include "common/mp/managed_list.h"

#include <gtest/gtest.h>

#include "tests/common/mp/managed_calls.h"

namespace forkecho::mp::managed {
namespace {

using tests::ask;
using tests::tell;
using Strings = std::vector<std::string>;

const auto nothing = [](Encoder&) {};

auto values(Strings each) {
  return [each = std::move(each)](Encoder& to) {
    for (const auto& blob : each) put_blob(to, blob);
  };
}

auto at(std::int64_t index, std::optional<std::string> value = std::nullopt) {
  return [=](Encoder& to) {
    to.put(index);
    if (value) put_blob(to, *value);
  };
}

Strings slice(ManagedList& list, std::int64_t first, std::int64_t last) {
  return ask<Strings>(list, ListOp::slice, [&](Encoder& to) {
    to.put(first);
    to.put(last);
  });
}

Strings all(ManagedList& list) {
  return slice(list, 0, 1000);
}

struct AList : testing::Test {
  AList() { tell(list, ListOp::extend, values({"a", "b", "c"})); }
  ManagedList list;
};

TEST_F(AList, IndicesBelowZeroCountFromTheEnd) {
  EXPECT_EQ(ask<std::string>(list, ListOp::get, at(0)), "a");
  EXPECT_EQ(ask<std::string>(list, ListOp::get, at(-1)), "c");
  EXPECT_EQ(ask<std::string>(list, ListOp::get, at(-3)), "a");
  tell(list, ListOp::set, at(-2, "B"));
  EXPECT_EQ(all(list), (Strings{"a", "B", "c"}));
  EXPECT_EQ(ask<std::string>(list, ListOp::pop, at(-1)), "c");
  EXPECT_EQ(ask<std::string>(list, ListOp::pop, at(0)), "a");
  EXPECT_EQ(all(list), (Strings{"B"}));
}

TEST_F(AList, AnIndexOutsideIsOutOfRangeAndChangesNothing) {
  Answers answers;
  for (const std::int64_t index : {std::int64_t{3}, std::int64_t{-4}, INT64_MAX, INT64_MIN}) {
    EXPECT_THROW(tests::apply(list, answers, 1, ListOp::get, at(index)), std::out_of_range);
    EXPECT_THROW(tests::apply(list, answers, 1, ListOp::set, at(index, "x")), std::out_of_range);
    EXPECT_THROW(tests::apply(list, answers, 1, ListOp::pop, at(index)), std::out_of_range);
  }
  EXPECT_EQ(all(list), (Strings{"a", "b", "c"}));
}

TEST_F(AList, InsertsAtTheNearerEndWhenOutside) {
  tell(list, ListOp::insert, at(1, "x"));
  tell(list, ListOp::insert, at(-100, "first"));
  tell(list, ListOp::insert, at(100, "last"));
  EXPECT_EQ(all(list), (Strings{"first", "a", "x", "b", "c", "last"}));
}

TEST_F(AList, FindsCountsAndRemovesByValue) {
  tell(list, ListOp::extend, values({"b"}));
  EXPECT_EQ(ask<std::int64_t>(list, ListOp::index, values({"b"})), 1);
  EXPECT_EQ(ask<std::int64_t>(list, ListOp::index, values({"z"})), -1);
  EXPECT_EQ(ask<std::uint64_t>(list, ListOp::count, values({"b"})), 2u);
  EXPECT_TRUE(ask<bool>(list, ListOp::remove, values({"b"})));
  EXPECT_EQ(all(list), (Strings{"a", "c", "b"}));
  EXPECT_FALSE(ask<bool>(list, ListOp::remove, values({"z"})));
}

TEST_F(AList, SlicesAsPythonDoes) {
  EXPECT_EQ(slice(list, 1, 3), (Strings{"b", "c"}));
  EXPECT_EQ(slice(list, -2, 100), (Strings{"b", "c"}));
  EXPECT_EQ(slice(list, 0, -1), (Strings{"a", "b"}));
  EXPECT_EQ(slice(list, 2, 1), Strings{});
  EXPECT_EQ(slice(list, INT64_MIN, INT64_MAX), (Strings{"a", "b", "c"}));
}

TEST_F(AList, IsReplacedAsAWholeOnlyIfNobodyChangedIt) {
  const auto version = ask<std::uint64_t>(list, ListOp::versioned, nothing);
  const auto replacement = [&](Encoder& to) {
    to.put(version);
    put_blob(to, std::string("new"));
  };
  tell(list, ListOp::reverse, nothing);
  EXPECT_FALSE(ask<bool>(list, ListOp::replace_all, replacement));
  EXPECT_EQ(all(list), (Strings{"c", "b", "a"}));
  const auto now = ask<std::uint64_t>(list, ListOp::versioned, nothing);
  EXPECT_TRUE(ask<bool>(list, ListOp::replace_all, [&](Encoder& to) {
    to.put(now);
    put_blob(to, std::string("new"));
  }));
  EXPECT_EQ(all(list), (Strings{"new"}));
}

TEST_F(AList, AnExtensionCutShortChangesNothing) {
  Answers answers;
  const auto cut_short = [](Encoder& to) {
    put_blob(to, std::string("whole"));
    to.put<std::uint64_t>(1000);
  };
  EXPECT_THROW(tests::apply(list, answers, 1, ListOp::extend, cut_short), DecodeError);
  EXPECT_EQ(all(list), (Strings{"a", "b", "c"}));
}

TEST_F(AList, AnUnknownOperationIsGarbage) {
  Answers answers;
  EXPECT_THROW(tests::apply(list, answers, 1, static_cast<ListOp>(99), nothing), DecodeError);
  tell(list, ListOp::clear, nothing);
  EXPECT_EQ(ask<std::uint64_t>(list, ListOp::size, nothing), 0u);
}

}  // namespace
}  // namespace forkecho::mp::managed
