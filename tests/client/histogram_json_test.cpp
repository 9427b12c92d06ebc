#include "client/histogram_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "client/hdr_encoding.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;

Boxed<LatencyHistogram> one_to_a_thousand() {
  Boxed<LatencyHistogram> histogram;
  for (std::uint64_t ns = 1; ns <= 1000; ++ns) histogram->record(ns * 1013);
  return histogram;
}

TEST(HistogramJson, IsInNanosecondsWithItsPercentiles) {
  Boxed<LatencyHistogram> histogram;
  for (std::uint64_t ns = 1; ns <= 1000; ++ns) histogram->record(ns);
  const Json json = to_json(*histogram);
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back(item.key());
  EXPECT_EQ(keys, (std::vector<std::string>{"count", "min", "mean", "p50", "p90", "p99", "p999",
                                            "p9999", "max", "sum", "hdr"}));
  EXPECT_EQ(json["count"], 1000);
  EXPECT_EQ(json["min"], 1);
  EXPECT_EQ(json["mean"], 500.5);
  EXPECT_EQ(json["p50"], 500);
  EXPECT_EQ(json["p999"], 999);
  EXPECT_EQ(json["max"], 1000);
  EXPECT_EQ(json["sum"], 500500);
  EXPECT_EQ(decode_hdr(json["hdr"].get<std::string>()).histogram, to_hdr(*histogram));
  EXPECT_TRUE(is_histogram(json));
}

TEST(HistogramJson, OfNothingIsNullButForTheCount) {
  const Json json = to_json(*Boxed<LatencyHistogram>());
  EXPECT_EQ(json["count"], 0);
  for (const char* key : {"min", "mean", "p50", "p9999", "max", "sum", "hdr"}) {
    EXPECT_TRUE(json[key].is_null()) << key;
  }
  ASSERT_TRUE(read_histogram(json).histogram);
  EXPECT_EQ((*read_histogram(json).histogram)->count(), 0U);
}

TEST(ReadHistogram, IsTheVeryOneThatWasWritten) {
  const Json json = to_json(*one_to_a_thousand());
  const ReadHistogram read = read_histogram(Json::parse(json.dump()));
  ASSERT_TRUE(read.histogram) << read.error;
  EXPECT_EQ(to_json(**read.histogram), json);
}

TEST(ReadHistogram, SaysWhatIsWrong) {
  const Json good = to_json(*one_to_a_thousand());
  const auto error_with = [&](const char* key, const Json& value) {
    Json json = good;
    json[key] = value;
    EXPECT_FALSE(read_histogram(json).histogram);
    return read_histogram(json).error;
  };
  EXPECT_EQ(read_histogram(nullptr).error, "it is no histogram");
  EXPECT_EQ(error_with("count", -1), "its \"count\" is no number");
  EXPECT_EQ(error_with("hdr", nullptr), "it has no \"hdr\"");
  EXPECT_EQ(error_with("hdr", "x"), "its \"hdr\" cannot be read: it is no base64");
  EXPECT_EQ(error_with("hdr", encode_hdr({.layout = {.digits = 2}, .buckets = {{1, 1}}})),
            "its \"hdr\" has other buckets");
  EXPECT_EQ(error_with("sum", "much"), "its \"min\", \"max\" or \"sum\" is no number");
  for (const char* key : {"count", "min", "max"}) {
    EXPECT_EQ(error_with(key, 5U), "its \"hdr\" contradicts its other figures") << key;
  }
}

}  // namespace
}  // namespace forkecho::client
