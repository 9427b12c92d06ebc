#include "client/load_plan.h"

#include <algorithm>
#include <array>
#include <utility>

namespace forkecho::client {
namespace {

template <typename Enum, std::size_t count>
using Names = std::array<std::pair<Enum, std::string_view>, count>;

constexpr Names<Workload, 2> workloads{{{Workload::rr, "rr"}, {Workload::crr, "crr"}}};
constexpr Names<Payload, 2> payloads{{{Payload::ascii, "ascii"}, {Payload::unicode, "unicode"}}};
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
std::string_view to_string(Workload workload) {
  return find_name(workloads, workload);
}
std::string_view to_string(Payload payload) {
  return find_name(payloads, payload);
}
std::string_view to_string(Expect expect) {
  return find_name(expects, expect);
}

unsigned worker_count(const LoadPlan& plan, unsigned processors) {
  const unsigned wanted = plan.workers != 0 ? plan.workers : processors;
  return std::max(1U, std::min(wanted, plan.connections));
}

}  // namespace forkecho::client
