// The designs of a server that compare measures, by the names of the table: which options of
// forkechod make each, and which of them can do what is asked.
//
// Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace forkecho::client {

struct ServerDesign {
  std::string_view name;
  std::string_view in_words;  // "a process for every connection, forked when it comes"
  std::vector<std::string_view> options;
};

/// In the order of the table.
std::span<const ServerDesign> all_server_designs();
/// Null for a name that is none.
const ServerDesign* find_server_design(std::string_view name);

/// How the load uses its connections: all held at once, or one request on each.
enum class ConnectionUse { held, one_request };

/// Why the design cannot hold that many connections; empty when it can.
std::optional<std::string> why_not_applicable(const ServerDesign& design, ConnectionUse use,
                                              unsigned connections);

/// Why this forkechod cannot be started so: an option of the design is not in what its
/// `run --help` says. Empty when it can, or says nothing.
std::optional<std::string> why_not_offered(const ServerDesign& design, std::string_view help);

/// Every option with which the design is started for this load. A pool is given a worker for each
/// connection that is to be held: with fewer, some of them would never be answered.
std::vector<std::string> options_for(const ServerDesign& design, ConnectionUse use,
                                     unsigned connections);

}  // namespace forkecho::client
