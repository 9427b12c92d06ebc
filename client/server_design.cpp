#include "client/server_design.h"

#include <algorithm>
#include <array>

namespace forkecho::client {
namespace {

bool is_pool(const ServerDesign& design) {
  return design.name.starts_with("pool");
}

}  // namespace

std::span<const ServerDesign> all_server_designs() {
  static const std::array<ServerDesign, 8> designs{{
      {"iterative", "one process, one connection at a time", {"--mode", "iterative"}},
      {"fork", "a process for every connection, forked when it comes", {"--mode", "fork"}},
      {"pool-shared", "workers forked ahead, which accept from one listener", {"--mode", "pool"}},
      {"pool-lock",
       "the same, where only the holder of a lock accepts",
       {"--mode", "pool", "--accept", "lock"}},
      {"pool-passing",
       "workers forked ahead, to which the parent passes what it accepts",
       {"--mode", "pool", "--accept", "passing"}},
      {"pool-reuseport",
       "workers forked ahead, with a listener each",
       {"--mode", "pool", "--accept", "reuseport"}},
      {"pool-single-use",
       "a process for every connection, forked ahead",
       {"--mode", "pool", "--connections-per-worker-life", "1"}},
      {"event", "a few processes, many connections in each", {"--mode", "event"}},
  }};
  return designs;
}

const ServerDesign* find_server_design(std::string_view name) {
  const auto designs = all_server_designs();
  const auto found = std::ranges::find(designs, name, &ServerDesign::name);
  return found == designs.end() ? nullptr : &*found;
}

std::optional<std::string> why_not_applicable(const ServerDesign& design, ConnectionUse use,
                                              unsigned connections) {
  if (design.name == "iterative" && use == ConnectionUse::held && connections > 1) {
    return "it serves one connection at a time, and " + std::to_string(connections) +
           " are to be held";
  }
  if (design.name == "pool-reuseport" && use == ConnectionUse::held && connections > 1) {
    return "its connections fall on the workers by chance: of " + std::to_string(connections) +
           " that are held, some would wait for ever behind others";
  }
  return std::nullopt;
}

std::optional<std::string> why_not_offered(const ServerDesign& design, std::string_view help) {
  if (help.empty()) return std::nullopt;
  for (const std::string_view option : design.options) {
    if (!option.starts_with("--")) continue;
    // As it stands in a list of options: a word of its own.
    if (help.find("  " + std::string(option) + " ") == help.npos) {
      return "this forkechod has no " + std::string(option);
    }
  }
  return std::nullopt;
}

std::vector<std::string> options_for(const ServerDesign& design, ConnectionUse use,
                                     unsigned connections) {
  std::vector<std::string> options(design.options.begin(), design.options.end());
  if (is_pool(design) && use == ConnectionUse::held) {
    const std::string workers = std::to_string(connections);
    options.insert(options.end(),
                   {"--pool-start", workers, "--pool-max", workers, "--pool-max-spare", workers});
  }
  return options;
}

}  // namespace forkecho::client
