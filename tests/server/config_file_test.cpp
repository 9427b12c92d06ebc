#include "server/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ConfigFile, EachLineIsANameAndAValue) {
  const ConfigText text = parse_config(
      "# what we serve\n"
      "mode = pool\n"
      "\n"
      "  idle-timeout=30s   # half a minute\n"
      "; another comment\n"
      "log-file = \"/var/log/a b.log\"\r\n"
      "pidfile = '/run/p'\n"
      "slots = 7");
  ASSERT_EQ(text.error, "");
  ASSERT_EQ(text.entries.size(), 5U);
  EXPECT_EQ(text.entries[0].line, 2U);
  EXPECT_EQ(text.entries[0].name, "mode");
  EXPECT_THAT(text.entries[0].values, ElementsAre("pool"));
  EXPECT_EQ(text.entries[1].line, 4U);
  EXPECT_EQ(text.entries[1].name, "idle-timeout");
  EXPECT_THAT(text.entries[1].values, ElementsAre("30s"));
  EXPECT_THAT(text.entries[2].values, ElementsAre("/var/log/a b.log"));
  EXPECT_THAT(text.entries[3].values, ElementsAre("/run/p"));
  EXPECT_EQ(text.entries[4].line, 8U);
}

TEST(ConfigFile, WhatIsRepeatedIsAListOrStandsOnSeveralLines) {
  const ConfigText text = parse_config(
      "listen = [\"127.0.0.1:1\", \"[::1]:2\"]\n"
      "listen = [\n"
      "  \"unix:/x\",  # the third\n"
      "  \"127.0.0.1:4\"\n"
      "]\n"
      "listen = \"[::1]:5\"\n"
      "mode = fork\n");
  ASSERT_EQ(text.error, "");
  ASSERT_EQ(text.entries.size(), 4U);
  EXPECT_THAT(text.entries[0].values, ElementsAre("127.0.0.1:1", "[::1]:2"));
  EXPECT_EQ(text.entries[1].line, 2U);
  EXPECT_THAT(text.entries[1].values, ElementsAre("unix:/x", "127.0.0.1:4"));
  EXPECT_EQ(text.entries[2].line, 6U);
  EXPECT_THAT(text.entries[2].values, ElementsAre("[::1]:5"));
  EXPECT_EQ(text.entries[3].line, 7U);
}

TEST(ConfigFile, NothingIsNoError) {
  for (const char* nothing : {"", "\n\n", "# only this", "   \n;\n#"}) {
    const ConfigText text = parse_config(nothing);
    EXPECT_EQ(text.error, "") << nothing;
    EXPECT_TRUE(text.entries.empty());
  }
}

TEST(ConfigFile, AnEmptyValueIsAValue) {
  const ConfigText text = parse_config("log-file = \"\"\n");
  ASSERT_EQ(text.entries.size(), 1U) << text.error;
  EXPECT_THAT(text.entries[0].values, ElementsAre(""));
}

/// What the reader would misunderstand without a word.
TEST(ConfigFile, MistakesAreToldWithTheirLine) {
  struct Case {
    std::string text;
    unsigned line;
    const char* said;
  };
  for (const Case& c : std::vector<Case>{
           {"[run]\nmode = fork\n", 1, "sections"},
           {"mode = fork\n[[x]]\n", 2, "sections"},
           {"mode = fork\nlisten = [::1]:9001\nslots = 5\n", 2, "\"[::1]:9001\""},
           {"listen = [\"a:1\",\n\"b:2\"\n", 1, "does not end"},
           {"log-file = \"/var/#1\"\n", 1, "#"},
           {"log-file = \"/var\n", 1, "quote"},
           {"a\n", 1, "name = value"},
           {"mode = fork\nrun.mode = fork\n", 2, "name = value"},
           {"= 5\n", 1, "name = value"},
           {std::string("mode = f\0rk\n", 12), 1, "NUL"},
       }) {
    const ConfigText text = parse_config(c.text);
    EXPECT_THAT(text.error, HasSubstr(c.said)) << c.text;
    EXPECT_EQ(text.error_line, c.line) << c.text;
  }
}

}  // namespace
}  // namespace forkecho::server
