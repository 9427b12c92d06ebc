#include "client/processor_pins.h"

#include <sched.h>

#include <algorithm>
#include <charconv>

#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

std::optional<unsigned> parse_number(std::string_view text) {
  unsigned number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number >= CPU_SETSIZE) return std::nullopt;
  return number;
}

/// Adds "3" or "0-3"; false when it is neither, or one of them is there already.
bool add_range(std::string_view text, Processors& processors) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash));
  const auto last = dash == text.npos ? first : parse_number(text.substr(dash + 1));
  if (!first || !last || *first > *last) return false;
  for (unsigned number = *first; number <= *last; ++number) {
    if (std::ranges::find(processors, number) != processors.end()) return false;
    processors.push_back(number);
  }
  return true;
}

std::string list_of(const Processors& processors) {
  std::string list;
  for (std::size_t i = 0; i < processors.size();) {
    std::size_t last = i;
    while (last + 1 < processors.size() && processors[last + 1] == processors[last] + 1) ++last;
    list += (list.empty() ? "" : ",") + std::to_string(processors[i]);
    if (last != i) list += '-' + std::to_string(processors[last]);
    i = last + 1;
  }
  return list;
}

}  // namespace

std::optional<ProcessorPins> ProcessorPins::parse(std::string_view text) {
  ProcessorPins pins;
  Processors* role = nullptr;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string_view part = text.substr(begin, end - begin);
    begin = end + 1;
    if (const std::size_t colon = part.find(':'); colon != part.npos) {
      const std::string_view name = part.substr(0, colon);
      role = name == "server" ? &pins.server : name == "client" ? &pins.client : nullptr;
      if (role == nullptr || !role->empty()) return std::nullopt;
      part.remove_prefix(colon + 1);
    }
    if (role == nullptr || !add_range(part, *role)) return std::nullopt;
  }
  std::ranges::sort(pins.server);
  std::ranges::sort(pins.client);
  return pins;
}

std::string ProcessorPins::to_string() const {
  std::string text;
  if (!server.empty()) text = "server:" + list_of(server);
  if (!client.empty()) text += (text.empty() ? "client:" : ",client:") + list_of(client);
  return text;
}

std::string find_unavailable(const Processors& wanted) {
  cpu_set_t allowed;
  // More processors than the set has room for: the kernel itself will say what it refuses.
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {};
  Processors missing;
  std::ranges::copy_if(wanted, std::back_inserter(missing),
                       [&](unsigned number) { return !CPU_ISSET(number, &allowed); });
  return list_of(missing);
}

void pin_this_process(const Processors& processors) {
  if (processors.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned number : processors) CPU_SET(number, &set);
  sys::check_syscall(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

}  // namespace forkecho::client
