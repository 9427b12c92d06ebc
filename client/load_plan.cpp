#include "client/load_plan.h"

#include <algorithm>
#include <array>
#include <utility>

namespace forkecho::client {
namespace {

template <typename Enum, std::size_t count>
using Names = std::array<std::pair<Enum, std::string_view>, count>;

constexpr Names<Workload, 3> workloads{
    {{Workload::rr, "rr"}, {Workload::crr, "crr"}, {Workload::stream, "stream"}}};
constexpr Names<Payload, 3> payloads{
    {{Payload::ascii, "ascii"}, {Payload::unicode, "unicode"}, {Payload::random, "random"}}};
constexpr Names<Arrivals, 2> arrival_kinds{
    {{Arrivals::constant, "constant"}, {Arrivals::poisson, "poisson"}}};
constexpr Names<Close, 2> closes{{{Close::fin, "fin"}, {Close::rst, "rst"}}};
constexpr Names<Expect, 3> expects{
    {{Expect::unicode, "unicode"}, {Expect::ascii, "ascii"}, {Expect::none, "none"}}};

template <typename Enum, std::size_t count>
std::optional<Enum> find_value(const Names<Enum, count>& names, std::string_view wanted) {
  for (const auto& [value, name] : names) {
    if (name == wanted) return value;
  }
  return std::nullopt;
}

template <typename Enum, std::size_t count>
std::string_view find_name(const Names<Enum, count>& names, Enum wanted) {
  for (const auto& [value, name] : names) {
    if (value == wanted) return name;
  }
  return {};
}

}  // namespace

std::optional<Workload> parse_workload(std::string_view name) {
  return find_value(workloads, name);
}
std::optional<Payload> parse_payload(std::string_view name) {
  return find_value(payloads, name);
}
std::optional<Expect> parse_expect(std::string_view name) {
  return find_value(expects, name);
}
std::optional<Arrivals> parse_arrivals(std::string_view name) {
  return find_value(arrival_kinds, name);
}
std::optional<Close> parse_close(std::string_view name) {
  return find_value(closes, name);
}
std::string_view to_string(Workload workload) {
  return find_name(workloads, workload);
}
std::string_view to_string(Payload payload) {
  return find_name(payloads, payload);
}
std::string_view to_string(Expect expect) {
  return find_name(expects, expect);
}

std::string_view to_string(Arrivals arrivals) {
  return find_name(arrival_kinds, arrivals);
}
std::string_view to_string(Close close) {
  return find_name(closes, close);
}

std::uint64_t requests_on_each(const LoadPlan& plan) {
  if (plan.requests_per_connection != 0) return plan.requests_per_connection;
  return plan.workload == Workload::crr ? 1 : 0;
}

std::size_t places_on_each(const LoadPlan& plan) {
  if (plan.workload != Workload::stream) return plan.depth;
  // More than the sockets' buffers hold, so that the sender never waits for anything but them.
  const double fit = static_cast<double>(std::size_t{16} << 20) / plan.size.mean();
  return std::clamp<std::size_t>(static_cast<std::size_t>(fit), 2, 65'536);
}

std::string find_contradiction(const LoadPlan& plan) {
  if (plan.payload == Payload::random && plan.expect != Expect::none)
    return "--payload random has no capitals: it needs --expect none (a server with --transform "
           "none)";
  if (plan.workload == Workload::stream && is_open_loop(plan))
    return "--workload stream sends as fast as it can: it has no --rate";
  if (plan.workload == Workload::stream && plan.depth != 1)
    return "--workload stream fills the connection: it has no --depth";
  if (plan.connections < plan.more_targets.size() + 1)
    return "fewer --connections than targets: each target needs one at least";
  return {};
}

void set_targets(LoadPlan& plan, const std::vector<std::string>& targets) {
  plan.target = targets.at(0);
  plan.more_targets.assign(targets.begin() + 1, targets.end());
}

unsigned worker_count(const LoadPlan& plan, unsigned processors) {
  const auto pinned = static_cast<unsigned>(plan.pins.client.size());
  const unsigned wanted = plan.workers != 0 ? plan.workers : pinned != 0 ? pinned : processors;
  return std::max(1U, std::min(wanted, plan.connections));
}

}  // namespace forkecho::client
