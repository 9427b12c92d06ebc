#include "common/mp/managed_dict.h"

#include <gtest/gtest.h>

#include "tests/common/mp/managed_calls.h"

namespace forkecho::mp::managed {
namespace {

using tests::ask;
using tests::tell;

const auto nothing = [](Encoder&) {};

auto blobs(std::vector<std::string> each) {
  return [each = std::move(each)](Encoder& to) {
    for (const auto& blob : each) put_blob(to, blob);
  };
}

auto replacing(std::string key, std::optional<std::string> expected,
               std::optional<std::string> desired) {
  return [=](Encoder& to) {
    put_blob(to, key);
    to.put(expected.has_value());
    if (expected) put_blob(to, *expected);
    to.put(desired.has_value());
    if (desired) put_blob(to, *desired);
  };
}

// A found value is answered as a flag and a blob, which is what an optional string is encoded as.
std::optional<std::string> get(ManagedDict& dict, const std::string& key) {
  return ask<std::optional<std::string>>(dict, DictOp::get, blobs({key}));
}

std::vector<std::string> keys(ManagedDict& dict) {
  return ask<std::vector<std::string>>(dict, DictOp::keys, nothing);
}

TEST(ManagedDict, KeepsTheOrderOfInsertionThroughChangesAndErasures) {
  ManagedDict dict;
  for (const char* key : {"c", "a", "b"}) tell(dict, DictOp::set, blobs({key, "1"}));
  tell(dict, DictOp::set, blobs({"a", "2"}));
  EXPECT_EQ(keys(dict), (std::vector<std::string>{"c", "a", "b"}));
  EXPECT_EQ(get(dict, "a"), "2");
  EXPECT_EQ(ask<std::optional<std::string>>(dict, DictOp::pop, blobs({"c"})), "1");
  tell(dict, DictOp::set, blobs({"c", "3"}));
  EXPECT_EQ(keys(dict), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(ask<std::uint64_t>(dict, DictOp::size, nothing), 3u);
}

TEST(ManagedDict, AMissingKeyIsToldFromAnEmptyValue) {
  ManagedDict dict;
  tell(dict, DictOp::set, blobs({"", ""}));
  EXPECT_EQ(get(dict, ""), "");
  EXPECT_EQ(get(dict, "x"), std::nullopt);
  EXPECT_FALSE(ask<bool>(dict, DictOp::pop, blobs({"x"})));
  EXPECT_TRUE(ask<bool>(dict, DictOp::contains, blobs({""})));
  EXPECT_FALSE(ask<bool>(dict, DictOp::contains, blobs({"x"})));
}

TEST(ManagedDict, SetDefaultStoresOnlyWhereNothingWas) {
  ManagedDict dict;
  EXPECT_EQ(ask<std::string>(dict, DictOp::set_default, blobs({"a", "1"})), "1");
  EXPECT_EQ(ask<std::string>(dict, DictOp::set_default, blobs({"a", "2"})), "1");
}

TEST(ManagedDict, ReplacesOnlyWhatIsExpected) {
  ManagedDict dict;
  EXPECT_FALSE(ask<bool>(dict, DictOp::replace, replacing("a", "0", "1")));
  EXPECT_TRUE(ask<bool>(dict, DictOp::replace, replacing("a", std::nullopt, "1")));
  EXPECT_FALSE(ask<bool>(dict, DictOp::replace, replacing("a", std::nullopt, "2")));
  EXPECT_FALSE(ask<bool>(dict, DictOp::replace, replacing("a", "9", "2")));
  EXPECT_EQ(get(dict, "a"), "1");
  EXPECT_TRUE(ask<bool>(dict, DictOp::replace, replacing("a", "1", "2")));
  EXPECT_EQ(get(dict, "a"), "2");
  EXPECT_TRUE(ask<bool>(dict, DictOp::replace, replacing("a", "2", std::nullopt)));
  EXPECT_EQ(get(dict, "a"), std::nullopt);
}

TEST(ManagedDict, AnUpdateCutShortChangesNothing) {
  ManagedDict dict;
  tell(dict, DictOp::update, blobs({"a", "1", "b", "2"}));
  Answers answers;
  EXPECT_THROW(tests::apply(dict, answers, 1, DictOp::update, blobs({"a", "9", "b"})), DecodeError);
  EXPECT_EQ(get(dict, "a"), "1");
  EXPECT_EQ(get(dict, "b"), "2");
}

TEST(ManagedDict, PopsTheLastAndIsEmptyAfterClear) {
  ManagedDict dict;
  tell(dict, DictOp::update, blobs({"a", "1", "b", "2"}));
  using Item = std::optional<std::pair<std::string, std::string>>;
  EXPECT_EQ(ask<Item>(dict, DictOp::pop_last, nothing), Item({"b", "2"}));
  tell(dict, DictOp::clear, nothing);
  EXPECT_EQ(ask<Item>(dict, DictOp::pop_last, nothing), Item());
  EXPECT_EQ(get(dict, "a"), std::nullopt);
}

TEST(ManagedDict, AnUnknownOperationIsGarbage) {
  ManagedDict dict;
  Answers answers;
  EXPECT_THROW(tests::apply(dict, answers, 1, static_cast<DictOp>(99), nothing), DecodeError);
}

}  // namespace
}  // namespace forkecho::mp::managed
