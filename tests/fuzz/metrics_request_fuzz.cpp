// What a scraper, or somebody else, sends to the metrics exporter: read in pieces, judged once.
#include "server/metrics_request.h"

#include "tests/fuzz/target.h"

namespace forkecho::fuzz {
namespace {

using server::MetricsRequest;

constexpr int random_cuttings = 16;

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

bool same(const MetricsRequest& one, const MetricsRequest& other) {
  return one.state == other.state && one.method == other.method && one.path == other.path;
}

bool is_known(server::MetricsReply reply) {
  using enum server::MetricsReply;
  switch (reply) {
    case metrics:
    case health:
    case bad_request:
    case not_found:
    case method_not_allowed:
    case request_timeout:
    case too_long:
    case unavailable:
    case unknown_version:
      return true;
  }
  return false;
}

}  // namespace

void fuzz(std::string_view input) {
  const MetricsRequest whole = server::parse_metrics_request(input);
  require(lies_in(whole.method, input) && lies_in(whole.path, input),
          "the parts are parts of what was given");
  require(input.size() <= server::longest_metrics_request ||
              whole.state != MetricsRequest::State::incomplete,
          "a request that is too long is not read on");
  if (whole.state != MetricsRequest::State::incomplete)
    require(is_known(decide_reply(whole)), "every request has an answer");
  Cuts cuts(input);
  for (int i = 0; i < random_cuttings; ++i) {
    const MetricsRequest begun =
        server::parse_metrics_request(input.substr(0, cuts.next(input.size())));
    require(begun.state == MetricsRequest::State::incomplete || same(begun, whole),
            "a verdict stays, whatever comes later");
  }
}

}  // namespace forkecho::fuzz
