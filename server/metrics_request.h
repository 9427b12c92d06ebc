// A request to the metrics exporter: from the bytes that came so far to what they ask for. Used by
// metrics_exporter.cpp. HTTP/1.1 as far as a scraper needs it (RFC 9112): a request line and header
// fields; a body is not read. Pure functions, of foreign bytes: nothing here fails or allocates.
#pragma once

#include <cstddef>
#include <string_view>

namespace forkecho::server {

/// A request line and header fields longer than this are refused.
inline constexpr std::size_t longest_metrics_request = 8192;

struct MetricsRequest {
  enum class State {
    incomplete,  // well-formed so far; more must come
    complete,
    malformed,
    too_long,
    unknown_version,  // of HTTP
  };
  State state = State::incomplete;
  // When complete; parts of the bytes that were given.
  std::string_view method = {};
  std::string_view path = {};  // without scheme, host and query
};

MetricsRequest parse_metrics_request(std::string_view received);

/// What the exporter answers.
enum class MetricsReply {
  metrics,
  health,
  bad_request = 400,
  not_found = 404,
  method_not_allowed = 405,
  request_timeout = 408,
  too_long = 431,
  unavailable = 503,
  unknown_version = 505,
};

/// Precondition: the request is not incomplete.
MetricsReply decide_reply(const MetricsRequest& request);

/// The reply has a header only.
inline bool wants_header_only(const MetricsRequest& request) {
  return request.method == "HEAD";
}

}  // namespace forkecho::server
