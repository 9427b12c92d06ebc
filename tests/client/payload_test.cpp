#include "client/payload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace forkecho::client {
namespace {

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

/// Whether every character of `text` is whole: as many continuation bytes as its first byte says.
bool is_whole(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (!begins_character(text[i]) || i + length > text.size()) return false;
    for (std::size_t j = 1; j < length; ++j) {
      if (begins_character(text[i + j])) return false;
    }
    i += length;
  }
  return true;
}

TEST(Payload, RequestsHaveExactlyTheirSizeAndWholeCharacters) {
  for (const Payload payload : {Payload::ascii, Payload::unicode}) {
    for (const std::size_t size : {1U, 2U, 3U, 7U, 64U, 1000U, 99'991U, 250'001U}) {
      for (const Exchange& exchange :
           make_exchanges(payload, Expect::unicode, {size, size, size})) {
        EXPECT_EQ(exchange.request.size(), size);
        EXPECT_TRUE(is_whole(exchange.request)) << size;
        EXPECT_TRUE(is_whole(exchange.reply)) << size;
      }
    }
  }
}

TEST(Payload, NeighboursDifferInTheFirstByteOfTheReply) {
  for (const Expect expect : {Expect::unicode, Expect::ascii, Expect::none}) {
    for (const std::size_t count : {2U, 26U, 27U, 30U, 53U}) {
      const auto exchanges =
          make_exchanges(Payload::unicode, expect, std::vector<std::size_t>(count, 1));
      for (std::size_t i = 0; i < exchanges.size(); ++i) {
        EXPECT_NE(exchanges[i].reply.front(), exchanges[(i + 1) % exchanges.size()].reply.front());
      }
    }
  }
}

TEST(Payload, AsciiIsLettersDigitsAndSpaces) {
  const std::string text = make_exchanges(Payload::ascii, Expect::none, {10'000})[0].request;
  EXPECT_TRUE(std::all_of(text.begin(), text.end(),
                          [](char c) { return std::isalnum(c) != 0 || c == ' '; }));
  EXPECT_TRUE(std::any_of(text.begin(), text.end(), [](char c) { return std::islower(c) != 0; }));
  EXPECT_TRUE(std::any_of(text.begin(), text.end(), [](char c) { return std::isdigit(c) != 0; }));
}

TEST(Payload, ExpectSaysWhatTheReplyIs) {
  const Exchange plain = make_exchanges(Payload::unicode, Expect::none, {5000})[0];
  EXPECT_EQ(plain.reply, plain.request);

  const Exchange ascii = make_exchanges(Payload::unicode, Expect::ascii, {5000})[0];
  EXPECT_EQ(ascii.request, plain.request);
  ASSERT_EQ(ascii.reply.size(), ascii.request.size());
  for (std::size_t i = 0; i < ascii.reply.size(); ++i) {
    const char c = ascii.request[i];
    EXPECT_EQ(ascii.reply[i], c >= 'a' && c <= 'z' ? c - 32 : c);
  }

  const Exchange unicode = make_exchanges(Payload::unicode, Expect::unicode, {5000})[0];
  EXPECT_EQ(unicode.request, plain.request);
  EXPECT_NE(unicode.reply, ascii.reply);
}

TEST(Payload, RandomBytesAreAllKindsOfBytes) {
  const Exchange exchange = make_exchanges(Payload::random, Expect::none, {100'000})[0];
  EXPECT_EQ(exchange.reply, exchange.request);
  EXPECT_EQ(std::set<char>(exchange.request.begin(), exchange.request.end()).size(), 256U);
}

TEST(Payload, PlanHasItsSizesInTheirProportions) {
  LoadPlan plan;
  plan.size = *SizeDistribution::parse("10:2,20:1");
  std::size_t bytes = 0;
  const auto exchanges = make_exchanges(plan);
  for (const Exchange& exchange : exchanges) bytes += exchange.request.size();
  EXPECT_EQ(bytes * 3, exchanges.size() * 40);
}

TEST(Payload, PlanHasAtLeastTwoExchangesHoweverBig) {
  LoadPlan plan;
  EXPECT_EQ(make_exchanges(plan).size(), 26U);
  plan.size = 40 * 1024 * 1024;
  EXPECT_EQ(make_exchanges(plan).size(), 2U);
}

}  // namespace
}  // namespace forkecho::client
