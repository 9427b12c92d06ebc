#include "client/conntrack.h"

#include <fstream>

namespace forkecho::client {

std::optional<Conntrack> read_conntrack(const std::string& folder) {
  Conntrack table;
  std::ifstream(folder + "/nf_conntrack_count") >> table.tracked;
  std::ifstream(folder + "/nf_conntrack_max") >> table.limit;
  return table.limit != 0 ? std::optional(table) : std::nullopt;
}

bool is_exhausted(const Conntrack& table) {
  return table.tracked >= table.limit - table.limit / 20;
}

}  // namespace forkecho::client
