// A scraper: what the daemon's metrics say, and what promtool says of them.
#pragma once

#include <map>
#include <sstream>
#include <string>

#include "tests/support/daemon_under_test.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {

/// The whole reply to a request; empty when there is none.
inline std::string http(const std::string& target, const std::string& request) {
  TestClient client(target);
  if (!client.connected() || !client.send(request)) return {};
  return client.receive_to_end().data;
}

inline std::string get(const std::string& target, const std::string& path) {
  return http(target, "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

/// The body of a reply that is 200; empty of any other.
inline std::string body_of(const std::string& reply) {
  const auto end = reply.find("\r\n\r\n");
  if (!reply.starts_with("HTTP/1.1 200 ") || end == std::string::npos) return {};
  return reply.substr(end + 4);
}

using Samples = std::map<std::string, double>;

/// By name and labels, as they stand in the text.
inline Samples samples_in(const std::string& text) {
  Samples samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') continue;
    const auto space = line.rfind(' ');
    samples[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return samples;
}

/// Where the daemon serves its metrics.
inline std::string metrics_target(DaemonUnderTest& daemon) {
  return daemon.status().at("metrics").at("listen");
}

}  // namespace forkecho::tests
