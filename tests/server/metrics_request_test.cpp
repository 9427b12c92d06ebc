#include "server/metrics_request.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace forkecho::server {
namespace {

using State = MetricsRequest::State;

const std::string scrape =
    "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9100\r\nUser-Agent: Prometheus/2.42.0\r\n"
    "Accept: text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n\r\n";

TEST(MetricsRequest, AScrapeIsUnderstood) {
  const MetricsRequest request = parse_metrics_request(scrape);
  EXPECT_EQ(request.state, State::complete);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.path, "/metrics");
  EXPECT_EQ(decide_reply(request), MetricsReply::metrics);
  EXPECT_FALSE(wants_header_only(request));
}

TEST(MetricsRequest, EveryBeginningOfAScrapeIsIncomplete) {
  for (std::size_t length = 0; length < scrape.size(); ++length)
    EXPECT_EQ(parse_metrics_request(scrape.substr(0, length)).state, State::incomplete) << length;
}

TEST(MetricsRequest, WhatFollowsTheEmptyLineIsIgnored) {
  const std::string received = scrape + std::string("\0\xff body", 7);
  const MetricsRequest request = parse_metrics_request(received);
  EXPECT_EQ(request.state, State::complete);
  EXPECT_EQ(request.path, "/metrics");
}

struct Case {
  std::string received;
  State state;
  MetricsReply reply;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << testing::PrintToString(c.received);
}

class Requests : public testing::TestWithParam<Case> {};

TEST_P(Requests, AreJudged) {
  const MetricsRequest request = parse_metrics_request(GetParam().received);
  EXPECT_EQ(request.state, GetParam().state);
  EXPECT_EQ(decide_reply(request), GetParam().reply);
}

Case good(const std::string& received, MetricsReply reply) {
  return {received, State::complete, reply};
}
Case bad(const std::string& received) {
  return {received, State::malformed, MetricsReply::bad_request};
}

INSTANTIATE_TEST_SUITE_P(
    Complete, Requests,
    testing::Values(
        good("GET /metrics HTTP/1.0\r\n\r\n", MetricsReply::metrics),
        good("GET /metrics HTTP/1.0\n\n", MetricsReply::metrics),
        good("\r\n\n\r\nGET /metrics HTTP/1.1\r\nHOST:x\r\n\r\n", MetricsReply::metrics),
        good("GET /metrics?name[]=a%20b HTTP/1.1\r\nHost: x\r\n\r\n", MetricsReply::metrics),
        good("GET http://x:9/metrics HTTP/1.1\r\nHost: x\r\n\r\n", MetricsReply::metrics),
        good("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", MetricsReply::metrics),
        good("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", MetricsReply::health),
        good("GET / HTTP/1.1\r\nHost: x\r\n\r\n", MetricsReply::not_found),
        good("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", MetricsReply::not_found),
        good("GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n", MetricsReply::not_found),
        good("GET /../metrics HTTP/1.1\r\nHost: x\r\n\r\n", MetricsReply::not_found),
        good("POST /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", MetricsReply::not_found),
        good("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
             MetricsReply::method_not_allowed),
        good("get /metrics HTTP/1.1\r\nHost: x\r\n\r\n", MetricsReply::method_not_allowed)));

INSTANTIATE_TEST_SUITE_P(
    Malformed, Requests,
    testing::Values(bad("GET /metrics\r\n\r\n"), bad("GET  /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
                    bad("GET /metrics  HTTP/1.1\r\nHost: x\r\n\r\n"),
                    bad("GET /metrics HTTP/1.1 \r\nHost: x\r\n\r\n"),
                    bad("GET /metrics http/1.1\r\nHost: x\r\n\r\n"),
                    bad("GET /metrics HTTP/11\r\nHost: x\r\n\r\n"),
                    bad("G@T /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), bad(" /metrics HTTP/1.1\r\n"),
                    bad("GET metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
                    bad("GET ftp://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
                    bad("GET /m\x7f HTTP/1.1\r\nHost: x\r\n\r\n"),
                    bad("GET /metrics HTTP/1.1\r\n\r\n"),  // no Host
                    bad("GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
                    bad("GET /metrics HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"),
                    bad("GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n"),
                    bad("GET /metrics HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"),
                    bad("GET /metrics HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n"),
                    bad("GET /metrics HTTP/1.1\r\nHost: x\ry\r\n\r\n"),
                    bad(std::string("GET /metrics HTTP/1.1\r\nHost: x\0y\r\n\r\n", 35)),
                    bad("\x16\x03\x01\x02"),  // TLS
                    bad("\xff"), bad(std::string(1, '\0')), bad("PRI\t")));

INSTANTIATE_TEST_SUITE_P(Versions, Requests,
                         testing::Values(Case{"GET /metrics HTTP/2.0\r\n\r\n",
                                              State::unknown_version,
                                              MetricsReply::unknown_version},
                                         Case{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", State::malformed,
                                              MetricsReply::bad_request}));

TEST(MetricsRequest, IsRefusedWhenItBecomesTooLong) {
  const std::string begun = "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ";
  const std::string filler(longest_metrics_request - begun.size(), 'x');
  EXPECT_EQ(parse_metrics_request(begun + filler.substr(1)).state, State::incomplete);
  EXPECT_EQ(parse_metrics_request(begun + filler).state, State::too_long);
  EXPECT_EQ(parse_metrics_request(begun + filler + "\r\n\r\n").state, State::too_long);
  EXPECT_EQ(parse_metrics_request(begun + filler.substr(4) + "\r\n\r\n").state, State::complete);
  EXPECT_EQ(parse_metrics_request(std::string(longest_metrics_request, 'G')).state,
            State::too_long);
  EXPECT_EQ(decide_reply({.state = State::too_long}), MetricsReply::too_long);
}

TEST(MetricsRequest, HeadWantsTheHeaderOnly) {
  EXPECT_TRUE(wants_header_only(parse_metrics_request("HEAD / HTTP/1.0\r\n\r\n")));
}

}  // namespace
}  // namespace forkecho::server
