#include "server/metrics_request.h"

#include <algorithm>
#include <optional>

namespace forkecho::server {
namespace {

using State = MetricsRequest::State;

constexpr std::string_view letters_and_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

bool is_printable(char c) {
  return c > 0x20 && c < 0x7f;
}

/// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return letters_and_digits.find(c) != std::string_view::npos ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

/// RFC 9110, 5.5: visible characters, space, tab and bytes above ASCII.
bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

/// Takes the first line off `rest`, without its end (CR LF; a bare LF does as well, RFC 9112, 2.2).
/// Empty when it has no end.
std::optional<std::string_view> take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

/// "/metrics?x=1" and "http://host:9100/metrics" are both /metrics; empty when it is neither a path
/// nor a URL of HTTP.
std::string_view path_of(std::string_view target) {
  if (!std::all_of(target.begin(), target.end(), is_printable)) return {};
  if (!target.starts_with('/')) {
    constexpr std::string_view scheme = "http://";
    if (!target.starts_with(scheme)) return {};
    target.remove_prefix(scheme.size());
    target.remove_prefix(std::min(target.find('/'), target.size()));
    if (target.empty()) return "/";
  }
  return target.substr(0, target.find_first_of("?#"));
}

struct Version {
  bool well_formed = false;
  bool known = false;  // HTTP/1.x
  int minor = 0;
};

Version version_of(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() != 8 || !text.starts_with("HTTP/") || text[6] != '.') return {};
  if (!is_digit(text[5]) || !is_digit(text[7])) return {};
  return {.well_formed = true, .known = text[5] == '1', .minor = text[7] - '0'};
}

bool is_called(std::string_view name, std::string_view lower_case) {
  return std::equal(
      name.begin(), name.end(), lower_case.begin(), lower_case.end(),
      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; });
}

/// The header fields up to the empty line; `state` tells whether that has come. HTTP/1.1 demands
/// one Host field (RFC 9112, 3.2), and no version allows two.
State check_fields(std::string_view rest, int minor_version) {
  int hosts = 0;
  while (const auto line = take_line(rest)) {
    if (line->empty())
      return hosts == 1 || (hosts == 0 && minor_version == 0) ? State::complete : State::malformed;
    const std::size_t colon = line->find(':');
    if (colon == std::string_view::npos || !is_token(line->substr(0, colon)) ||
        !is_field_value(line->substr(colon + 1)))
      return State::malformed;
    hosts += is_called(line->substr(0, colon), "host");
  }
  return State::incomplete;
}

/// What a request line may hold before its end has come: a handshake of TLS, for one, is none.
bool may_become_a_line(std::string_view begun) {
  if (begun.ends_with('\r')) begun.remove_suffix(1);
  return std::all_of(begun.begin(), begun.end(),
                     [](char c) { return c == ' ' || is_printable(c); });
}

MetricsRequest parse(std::string_view received) {
  // Empty lines before a request are skipped (RFC 9112, 2.2).
  while (received.starts_with("\r\n") || received.starts_with('\n')) take_line(received);
  std::string_view rest = received;
  const auto request_line = take_line(rest);
  if (!request_line)
    return {.state = may_become_a_line(received) ? State::incomplete : State::malformed};
  std::string_view line = *request_line;
  const std::string_view method = take_word(line);
  const std::string_view path = path_of(take_word(line));
  const Version version = version_of(line);
  if (!is_token(method) || path.empty() || !version.well_formed) return {.state = State::malformed};
  if (!version.known) return {.state = State::unknown_version};
  return {.state = check_fields(rest, version.minor), .method = method, .path = path};
}

}  // namespace

MetricsRequest parse_metrics_request(std::string_view received) {
  const MetricsRequest request = parse(received.substr(0, longest_metrics_request));
  if (request.state == State::incomplete && received.size() >= longest_metrics_request)
    return {.state = State::too_long};
  return request;
}

MetricsReply decide_reply(const MetricsRequest& request) {
  switch (request.state) {
    case State::complete:
      break;
    case State::too_long:
      return MetricsReply::too_long;
    case State::unknown_version:
      return MetricsReply::unknown_version;
    case State::incomplete:
    case State::malformed:
      return MetricsReply::bad_request;
  }
  const bool metrics = request.path == "/metrics";
  if (!metrics && request.path != "/healthz") return MetricsReply::not_found;
  if (request.method != "GET" && request.method != "HEAD") return MetricsReply::method_not_allowed;
  return metrics ? MetricsReply::metrics : MetricsReply::health;
}

}  // namespace forkecho::server
