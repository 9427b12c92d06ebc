#include "common/log/escape.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace forkecho::log {
namespace {

const std::string replacement = "\xef\xbf\xbd";

std::string read_back(const std::string& message) {
  return nlohmann::json::parse('"' + escape_for_json(message) + '"');
}

TEST(EscapeForText, LeavesTextAlone) {
  EXPECT_EQ(escape_for_text("a b \\ \" ä € 😀"), "a b \\ \" ä € 😀");
}

TEST(EscapeForText, ShowsWhatWouldEndOrColourTheLine) {
  EXPECT_EQ(escape_for_text("a\nb\rc\td\x1b[0m\x7f"), R"(a\nb\rc\td\x1b[0m\x7f)");
  EXPECT_EQ(escape_for_text(std::string("\0", 1)), R"(\x00)");
}

TEST(EscapeForJson, IsReadBackUnchanged) {
  std::string every_ascii;
  for (char c = 0; c >= 0 && c < 127; ++c) every_ascii += c;
  EXPECT_EQ(read_back(every_ascii), every_ascii);
  for (const char* text : {"", "ä", "€", "😀", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(read_back(text), text);
  }
}

TEST(EscapeForJson, ReplacesEachByteThatIsNoUtf8) {
  EXPECT_EQ(read_back("a\xff z"), "a" + replacement + " z");
  EXPECT_EQ(read_back("\xe2\x82"), replacement + replacement);                    // cut short
  EXPECT_EQ(read_back("\xc0\xaf"), replacement + replacement);                    // overlong
  EXPECT_EQ(read_back("\xe0\x9f\xbf"), replacement + replacement + replacement);  // overlong
  EXPECT_EQ(read_back("\xed\xa0\x80"), replacement + replacement + replacement);  // a surrogate
  EXPECT_EQ(read_back("\xf0\x8f\xbf\xbf").size(), 4 * replacement.size());        // overlong
  EXPECT_EQ(read_back("\xf4\x90\x80\x80").size(), 4 * replacement.size());        // beyond Unicode
  EXPECT_EQ(read_back("\xe2\x82z"), replacement + replacement + "z");             // resynchronised
}

TEST(EscapeForJson, AnyTwoBytesAreValidJson) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string message{static_cast<char>(first), static_cast<char>(second)};
      ASSERT_NO_THROW(read_back(message)) << first << ' ' << second;
    }
  }
}

}  // namespace
}  // namespace forkecho::log
