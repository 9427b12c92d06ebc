#include "client/unicode_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace forkecho::client {
namespace {

using ::testing::HasSubstr;

std::string all_texts() {
  std::string texts;
  for (const UnicodePair& pair : unicode_pairs()) texts += pair.text;
  return texts;
}

std::string upper_of(std::string_view text) {
  for (const UnicodePair& pair : unicode_pairs()) {
    if (pair.text == text) return std::string(pair.upper);
  }
  return "not there";
}

TEST(UnicodePairs, AreOfManyScripts) {
  const std::string texts = all_texts();
  for (const char* part :
       {"ß", "ŉ", "ﬁ", "ΐ", "ὖ", "щ", "ქ", "漢", "한", "🙂", "𐐨", "𞤢", "ⓐ", "ﬖ", "ꭰ"}) {
    EXPECT_THAT(texts, HasSubstr(part));
  }
}

TEST(UnicodePairs, AreMappedAsPythonDoes) {
  EXPECT_EQ(upper_of("straße"), "STRASSE");
  EXPECT_EQ(upper_of("ŉ dag"), "ʼN DAG");
  EXPECT_EQ(upper_of("\u0390 \u03b0 \u1f56 \u1fb3 \u1fbc \u1ff7 "),
            "\u0399\u0308\u0301 \u03a5\u0308\u0301 \u03a5\u0313\u0342 \u0391\u0399 \u0391\u0399 "
            "\u03a9\u0342\u0399 ");
  EXPECT_EQ(upper_of("ςσΣ"), "ΣΣΣ");
  EXPECT_EQ(upper_of("中文测试 "), "中文测试 ");
}

}  // namespace
}  // namespace forkecho::client
