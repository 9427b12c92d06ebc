#include "client/port_budget.h"

#include <fmt/format.h>

#include <fstream>

#include "common/sys/duration.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

constexpr sys::Duration time_wait = 60s;  // TCP_TIMEWAIT_LEN, a constant of the kernel
constexpr sys::Duration reuse_after = 1s;
constexpr double warn_from = 0.8;

}  // namespace

PortBudget read_port_budget(std::uint64_t sources, bool loopback, const std::string& folder) {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  int reuse = 0;
  std::ifstream(folder + "/ip_local_port_range") >> first >> last;
  std::ifstream(folder + "/tcp_tw_reuse") >> reuse;
  const bool reused = reuse == 1 || (reuse == 2 && loopback);
  return {.ports = last >= first && last != 0 ? last - first + 1 : 0,
          .sources = sources,
          .taken_for = reused ? reuse_after : time_wait};
}

std::string port_warning(const PortBudget& budget, double connections) {
  if (budget.all() == 0 || connections <= warn_from * static_cast<double>(budget.all())) return {};
  return fmt::format(
      "{:.0f} connections within {} are close to the {} local ports that there are, each taken for "
      "as long "
      "after its close: connect from more addresses (--source), close by --close rst, or widen "
      "net.ipv4.ip_local_port_range",
      connections, sys::format_duration(budget.taken_for), budget.all());
}

}  // namespace forkecho::client
