#include "server/status_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

namespace forkecho::server {
namespace {

using nlohmann::ordered_json;

const ordered_json& part(const ordered_json& object, std::string_view key) {
  static const ordered_json nothing;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? nothing : *found;
}

std::uint64_t number(const ordered_json& object, std::string_view key) {
  const ordered_json& value = part(object, key);
  return value.is_number() ? value.get<std::uint64_t>() : 0;
}

double fraction(const ordered_json& object, std::string_view key) {
  const ordered_json& value = part(object, key);
  return value.is_number() ? value.get<double>() : 0;
}

std::string text(const ordered_json& object, std::string_view key) {
  const ordered_json& value = part(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

std::uint64_t sum(const ordered_json& counts) {
  std::uint64_t total = 0;
  for (const auto& [name, count] : counts.items())
    if (count.is_number()) total += count.get<std::uint64_t>();
  return total;
}

/// "full 2, rate 1": those that are not zero, the parts of a name apart.
std::string those_that_happened(const ordered_json& counts) {
  std::string list;
  for (const auto& [name, count] : counts.items()) {
    if (!count.is_number() || count.get<std::uint64_t>() == 0) continue;
    std::string readable = name;
    std::replace(readable.begin(), readable.end(), '_', ' ');
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", readable,
                        with_thousands(count.get<std::uint64_t>()));
  }
  return list;
}

std::string heading(const ordered_json& status) {
  return fmt::format("forkechod {}  {}  mode {}  pid {}  up {}\n", text(status, "version"),
                     text(status, "state"), text(status, "mode"), number(status, "pid"),
                     readable_seconds(fraction(status, "uptime_s")));
}

struct Cell {
  std::string_view name;
  std::string value;
};

/// Three columns of names and figures.
std::string grid(const std::vector<Cell>& cells) {
  constexpr std::size_t across = 3;
  constexpr std::size_t width = 25;
  std::string lines;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    lines += fmt::format("{}{:>{}}{}", cells[i].name, cells[i].value, width - cells[i].name.size(),
                         i % across == across - 1 ? "\n" : "  ");
  }
  return lines;
}

std::uint64_t waiting(const ordered_json& status) {
  std::uint64_t total = 0;
  for (const auto& queue : part(status, "accept_queues")) total += number(queue, "length");
  return total;
}

std::string figures(const ordered_json& status) {
  const ordered_json& connections = part(status, "connections");
  const ordered_json& children = part(status, "children");
  const ordered_json& bytes = part(status, "bytes");
  return grid({{"active", with_thousands(number(connections, "active"))},
               {"accepted", with_thousands(number(connections, "accepted"))},
               {"bytes in", readable_bytes(number(bytes, "in"))},
               {"waiting", with_thousands(waiting(status))},
               {"served", with_thousands(number(connections, "served"))},
               {"bytes out", readable_bytes(number(bytes, "out"))},
               {"busy", with_thousands(number(children, "busy"))},
               {"refused", with_thousands(sum(part(connections, "refused")))},
               {"crashed", with_thousands(number(connections, "crashed"))},
               {"idle", with_thousands(number(children, "idle"))},
               {"timed out", with_thousands(sum(part(connections, "timed_out")))},
               {"fork failed", with_thousands(number(connections, "fork_failed"))}});
}

std::string named(std::string_view name, const std::string& value) {
  return value.empty() ? "" : fmt::format("{:<11} {}\n", name, value);
}

std::string readable_time(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
  return fmt::format("{:.1f} s", seconds);
}

/// The bound below which `share` of the forks were; empty when it is above the last bound.
std::string bound_of(const ordered_json& fork_time, double share) {
  const auto count = static_cast<double>(number(fork_time, "count"));
  double seen = 0;
  for (const auto& bucket : part(fork_time, "buckets")) {
    seen += fraction(bucket, "count");
    if (seen < share * count) continue;
    if (!part(bucket, "up_to_us").is_number()) return "";
    return readable_time(fraction(bucket, "up_to_us") * 1e-6);
  }
  return "";
}

std::string fork_times(const ordered_json& status) {
  const ordered_json& fork_time = part(status, "fork_time");
  const std::uint64_t count = number(fork_time, "count");
  if (count == 0) return "";
  std::string line = fmt::format(
      "{} on average", readable_time(fraction(fork_time, "sum_s") / static_cast<double>(count)));
  for (const double share : {0.5, 0.99}) {
    if (const std::string bound = bound_of(fork_time, share); !bound.empty())
      line += fmt::format(", {:.0f} % within {}", share * 100, bound);
  }
  return line;
}

std::string generations(const ordered_json& status) {
  const ordered_json& all = part(status, "generations");
  if (all.size() < 2) return "";
  std::string line;
  for (const auto& generation : all) {
    line += fmt::format("{}{} {} ({} open)", line.empty() ? "" : ", ", number(generation, "number"),
                        text(generation, "state"),
                        with_thousands(number(part(generation, "connections"), "active")));
  }
  return line;
}

std::string confinement(const ordered_json& status) {
  const ordered_json& in_force = part(status, "confinement");
  if (in_force.empty()) return "";
  std::string line = fmt::format("sandbox {}, user {}, group {}", text(in_force, "sandbox"),
                                 text(in_force, "user"), text(in_force, "group"));
  if (!text(in_force, "chroot").empty()) line += ", chroot " + text(in_force, "chroot");
  const std::uint64_t calls = number(in_force, "system_calls");
  line += fmt::format("\n{:<11} capabilities {}, system calls {}", "",
                      text(in_force, "capabilities"), calls == 0 ? "all" : std::to_string(calls));
  if (!text(in_force, "widened_by").empty())
    line += fmt::format(" (widened for {})", text(in_force, "widened_by"));
  return line;
}

/// A line for each, where there are several.
std::string acceptors(const ordered_json& status) {
  const ordered_json& all = part(status, "acceptors");
  if (all.size() < 2) return "";
  std::string lines;
  for (const auto& acceptor : all) {
    const ordered_json& connections = part(acceptor, "connections");
    if (!lines.empty()) lines += fmt::format("\n{:<11} ", "");
    lines += fmt::format("{}: {} active, {} accepted", number(acceptor, "pid"),
                         with_thousands(number(connections, "active")),
                         with_thousands(number(connections, "accepted")));
  }
  return lines;
}

std::string pool(const ordered_json& status) {
  const ordered_json& pool = part(status, "pool");
  if (pool.empty()) return "";
  std::string line =
      fmt::format("accept {}, idle {} to {}, at most {}", text(pool, "accept"),
                  number(pool, "min_spare"), number(pool, "max_spare"), number(pool, "max"));
  if (const double grown = fraction(pool, "grown"); grown != 0)
    line += fmt::format(", {:+.0f} by TTIN and TTOU", grown);
  return line;
}

std::string fairness(const ordered_json& status) {
  const ordered_json& workers = part(status, "workers");
  if (workers.empty()) return "";
  return fmt::format("{} living, each took {} to {} connections, fairness {:.3f}",
                     number(workers, "living"), with_thousands(number(workers, "served_min")),
                     with_thousands(number(workers, "served_max")), fraction(workers, "jain"));
}

std::string lost_lines(const ordered_json& status) {
  const ordered_json& log = part(status, "log");
  return sum(log) == 0 ? ""
                       : fmt::format("{} of the log, {} of the access log could not be written",
                                     with_thousands(number(log, "lost")),
                                     with_thousands(number(log, "access_lost")));
}

std::string listeners(const ordered_json& status) {
  const ordered_json& queues = part(status, "accept_queues");
  if (queues.empty()) return "";
  std::string table = fmt::format("\n{:<58} {:>10} {:>10}\n", "LISTENING ON", "WAITING", "LIMIT");
  for (const auto& queue : queues) {
    const auto figure = [&queue](const char* key) {
      return part(queue, key).is_number() ? with_thousands(number(queue, key)) : "-";
    };
    table += fmt::format("{:<58} {:>10} {:>10}\n", text(queue, "listen"), figure("length"),
                         figure("limit"));
  }
  return table;
}

/// Those who serve first, the longest first.
std::vector<ordered_json> by_interest(const ordered_json& slots) {
  std::vector<ordered_json> sorted(slots.begin(), slots.end());
  const auto rank = [](const ordered_json& slot) {
    return std::pair(text(slot, "state") != "serving", -fraction(slot, "since_s"));
  };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return sorted;
}

std::string slot_lines(const ordered_json& status) {
  const ordered_json& slots = part(status, "slots");
  if (slots.empty()) return "";
  std::string table = fmt::format("\n{:>7} {:<7} {:>11} {:>11} {:>8} {:>8}  {}\n", "PID", "STATE",
                                  "SINCE", "CONNECTIONS", "IN", "OUT", "PEER");
  for (const auto& slot : by_interest(slots)) {
    const std::string peer = text(slot, "peer");
    table += fmt::format("{:>7} {:<7} {:>11} {:>11} {:>8} {:>8}  {}\n", number(slot, "pid"),
                         text(slot, "state"), readable_seconds(fraction(slot, "since_s")),
                         number(slot, "connections"), readable_bytes(number(slot, "bytes_in")),
                         readable_bytes(number(slot, "bytes_out")), peer.empty() ? "-" : peer);
  }
  if (const auto omitted = number(status, "slots_omitted"))
    table += fmt::format("and {} more (see --slots)\n", with_thousands(omitted));
  return table;
}

}  // namespace

std::string with_thousands(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string readable_bytes(std::uint64_t bytes) {
  constexpr std::array units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < units.size(); ++unit) value /= 1024;
  return value < 9.95 ? fmt::format("{:.1f} {}", value, units[unit])
                      : fmt::format("{:.0f} {}", value, units[unit]);
}

std::string readable_seconds(double seconds) {
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  const auto minutes = static_cast<std::uint64_t>(std::min(seconds, 1e15) / 60);
  if (minutes < 60) return fmt::format("{} min", minutes);
  const std::uint64_t hours = minutes / 60;
  if (hours < 24) return fmt::format("{} h {:02} min", hours, minutes % 60);
  return fmt::format("{} d {:02} h", hours / 24, hours % 24);
}

std::string to_table(const ordered_json& status) {
  const ordered_json& connections = part(status, "connections");
  return heading(status) + "\n" + figures(status) +
         named("refused", those_that_happened(part(connections, "refused"))) +
         named("timed out", those_that_happened(part(connections, "timed_out"))) +
         named("acceptors", acceptors(status)) + named("pool", pool(status)) +
         named("workers", fairness(status)) + named("fork", fork_times(status)) +
         named("generations", generations(status)) + named("confinement", confinement(status)) +
         named("lost lines", lost_lines(status)) + listeners(status) + slot_lines(status);
}

std::string rates_line(const ordered_json& before, const ordered_json& now) {
  const double elapsed = fraction(now, "uptime_s") - fraction(before, "uptime_s");
  if (number(before, "pid") != number(now, "pid") || elapsed <= 0) return "";
  const auto per_second = [&](std::string_view object, std::string_view key) {
    const auto first = number(part(before, object), key);
    const auto last = number(part(now, object), key);
    return last <= first ? 0
                         : static_cast<std::uint64_t>(static_cast<double>(last - first) / elapsed);
  };
  return fmt::format("per second  {} connections, {} in, {} out",
                     with_thousands(per_second("connections", "accepted")),
                     readable_bytes(per_second("bytes", "in")),
                     readable_bytes(per_second("bytes", "out")));
}

std::string cut_to_rows(std::string_view text, std::size_t rows) {
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  if (rows == 0 || lines <= rows) return std::string(text);
  std::size_t end = 0;
  for (std::size_t line = 0; line + 1 < rows; ++line) end = text.find('\n', end) + 1;
  return std::string(text.substr(0, end)) + "...\n";
}

}  // namespace forkecho::server
