#include "client/html_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "client/comparison_json.h"
#include "client/embedded_files.h"
#include "client/run_json.h"
#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using testing::Not;

/// What the page holds as JSON, read back.
Json documents_in(const std::string& page) {
  const std::string opening = "<script type=\"application/json\" id=\"documents\">";
  const std::size_t begin = page.find(opening) + opening.size();
  return Json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

TEST(HtmlReport, HoldsTheDocumentsAsTheyAre) {
  const Json comparison = to_json(sample_comparison());
  const Json run = to_json(sample_slice(10, 1000));
  EXPECT_EQ(documents_in(html_report({comparison, run})), Json({comparison, run}));
}

TEST(HtmlReport, CannotBeBrokenByWhatADocumentSays) {
  Json comparison = to_json(sample_comparison());
  comparison["baseline"] =
      "</script><script>alert(1)</script><!-- {{documents}} {{curves}} {{chart.js}}";
  const std::string page = html_report({comparison});
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
  EXPECT_EQ(documents_in(page)[0], comparison);
}

TEST(PercentileCurves, AreThoseOfEveryHistogramThatIsDrawn) {
  const Json comparison = to_json(sample_comparison());
  Json run = to_json(sample_slice(10, 1000));
  run["latency"]["from_send"]["hdr"] = "nonsense";
  const Json curves = percentile_curves({comparison, run});
  EXPECT_EQ(curves[1], (Json{{"latency/from_intended", {{0.0, 1000}, {1.0, 1000}}}}));
  EXPECT_EQ(curves[0]["designs/1/latency/from_intended"][0],
            Json({0.0, LatencyHistogram::highest_of(LatencyHistogram::bucket_of(1'500'000))}));
  EXPECT_FALSE(curves[0].contains("designs/0/latency/from_intended")) << "not applicable";
}

TEST(HtmlReport, NamesNoOtherHost) {
  const auto page = std::string(embedded_html_template());
  EXPECT_THAT(page, Not(HasSubstr("src=")));
  EXPECT_THAT(page, Not(HasSubstr("@import")));
  EXPECT_THAT(page, HasSubstr("<link rel=\"icon\" href=\"data:"));
}

TEST(HtmlReport, HasChartJsInIt) {
  EXPECT_GT(embedded_chart_js().size(), 100'000U);
  EXPECT_THAT(html_report({}), HasSubstr(std::string(embedded_chart_js().substr(0, 200))));
}

TEST(EscapeForScript, LeavesTheSameJson) {
  const std::string json = R"(["</script><!--<<"])";
  const std::string escaped = escape_for_script(json);
  EXPECT_THAT(escaped, Not(HasSubstr("<")));
  EXPECT_EQ(Json::parse(escaped), Json::parse(json));
}

TEST(ReplaceMarker, WantsItExactlyOnce) {
  EXPECT_EQ(replace_marker("a{{x}}b", "{{x}}", "{{x}}{{x}}"), "a{{x}}{{x}}b");
  EXPECT_THROW(replace_marker("ab", "{{x}}", ""), std::logic_error);
  EXPECT_THROW(replace_marker("{{x}}{{x}}", "{{x}}", ""), std::logic_error);
}

TEST(WhatIsWrongWith, AcceptsWhatForkechoWrites) {
  EXPECT_EQ(what_is_wrong_with(to_json(sample_comparison())), std::nullopt);
  EXPECT_EQ(what_is_wrong_with(to_json(sample_slice(10, 1000))), std::nullopt);
}

TEST(WhatIsWrongWith, SaysWhatIsMissing) {
  EXPECT_THAT(what_is_wrong_with(Json::array()), testing::Optional(HasSubstr("no JSON object")));
  EXPECT_THAT(what_is_wrong_with(Json::object()), testing::Optional(HasSubstr("no \"schema\"")));
  EXPECT_THAT(what_is_wrong_with(Json{{"schema", 2}}),
              testing::Optional(HasSubstr("its schema is 2")));
  EXPECT_THAT(what_is_wrong_with(Json{{"schema", 1}, {"kind", "pair"}}),
              testing::Optional(HasSubstr("\"a/name\"")));
  EXPECT_THAT(what_is_wrong_with(Json{{"schema", 1}}), testing::Optional(HasSubstr("\"target\"")));
  Json comparison = to_json(sample_comparison());
  comparison["designs"][1]["run"].erase("latency");
  EXPECT_THAT(what_is_wrong_with(comparison),
              testing::Optional(HasSubstr("\"latency/from_intended\"")));
  comparison["designs"][1].erase("latency");
  EXPECT_THAT(what_is_wrong_with(comparison),
              testing::Optional(HasSubstr("design fork in it is not whole")));
}

}  // namespace
}  // namespace forkecho::client
