#include "server/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace forkecho::server {
namespace {

using nlohmann::ordered_json;

std::string_view to_string(SlotState state) {
  switch (state) {
    case SlotState::idle:
      return "idle";
    case SlotState::serving:
      return "serving";
    case SlotState::free:
      break;
  }
  return "free";
}

ordered_json to_json(const BookTotals& books) {
  return {{"accepted", books.accepted},
          {"active", books.active()},
          {"served", books.served},
          {"refused",
           {{"full", books.refused[0]},
            {"per_source", books.refused[1]},
            {"rate", books.refused[2]},
            {"draining", books.refused[3]}}},
          {"timed_out",
           {{"first_byte", books.timed_out[0]},
            {"idle", books.timed_out[1]},
            {"write", books.timed_out[2]},
            {"lifetime", books.timed_out[3]},
            {"drain", books.timed_out[4]}}},
          {"fork_failed", books.fork_failed},
          {"crashed", books.crashed}};
}

ordered_json to_json(const SlotStatus& slot) {
  return {{"pid", slot.pid},           {"state", to_string(slot.state)},
          {"peer", slot.peer},         {"connections", slot.connections},
          {"bytes_in", slot.bytes_in}, {"bytes_out", slot.bytes_out},
          {"since_s", slot.since_s}};
}

ordered_json to_json(const std::vector<GenerationView>& generations) {
  ordered_json list = ordered_json::array();
  for (const GenerationView& generation : generations) {
    list.push_back({{"number", generation.number},
                    {"state", generation.draining ? "draining" : "current"},
                    {"since_s", generation.since_s},
                    {"connections", {{"active", generation.active}}}});
  }
  return list;
}

ordered_json to_json(const std::optional<PoolStatus>& pool) {
  if (!pool) return nullptr;
  return {{"accept", to_string(pool->accept)},
          {"min_spare", pool->sizes.min_spare},
          {"max_spare", pool->sizes.max_spare},
          {"max", pool->sizes.max},
          {"grown", pool->grown}};
}

ordered_json to_json(const std::optional<Fairness>& workers) {
  if (!workers) return nullptr;
  return {{"living", workers->workers},
          {"served_min", workers->served_min},
          {"served_max", workers->served_max},
          {"jain", workers->jain}};
}

std::string pool_lines(const ordered_json& status) {
  std::string text;
  if (const auto& pool = status["pool"]; !pool.is_null()) {
    text += fmt::format(
        "pool         accept {}, idle {} to {}, at most {}, by TTIN and TTOU {:+}\n",
        pool["accept"].get<std::string>(), pool["min_spare"].get<unsigned>(),
        pool["max_spare"].get<unsigned>(), pool["max"].get<unsigned>(), pool["grown"].get<int>());
  }
  if (const auto& workers = status["workers"]; !workers.is_null()) {
    text += fmt::format("workers      {} living, each took {} to {} connections, fairness {:.3f}\n",
                        workers["living"].get<std::uint64_t>(),
                        workers["served_min"].get<std::uint64_t>(),
                        workers["served_max"].get<std::uint64_t>(), workers["jain"].get<double>());
  }
  return text;
}

std::string reasons(const ordered_json& counts) {
  std::string text;
  for (const auto& [reason, count] : counts.items()) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", reason, count.get<std::uint64_t>());
  }
  return text;
}

}  // namespace

SlotStatus read_slot(const Slot& slot, sys::Clock::time_point now) {
  const sys::Clock::time_point since{sys::Duration(slot.since_ns.load(std::memory_order_relaxed))};
  return {.pid = slot.pid.load(std::memory_order_relaxed),
          .state = slot.state.load(std::memory_order_acquire),
          .peer = slot.peer.to_string(),
          .connections = slot.connections.get(),
          .bytes_in = slot.meter.bytes_in.get(),
          .bytes_out = slot.meter.bytes_out.get(),
          .since_s = std::max(0.0, std::chrono::duration<double>(now - since).count())};
}

ordered_json to_json(const Status& status) {
  ordered_json slots = ordered_json::array();
  for (const SlotStatus& slot : status.slots) slots.push_back(to_json(slot));
  return {{"version", FORKECHO_VERSION},
          {"pid", status.pid},
          {"mode", to_string(status.mode)},
          {"state", to_string(status.state)},
          {"uptime_s", status.uptime_s},
          {"listen", status.listen},
          {"connections", to_json(status.books)},
          {"bytes", {{"in", status.books.bytes_in}, {"out", status.books.bytes_out}}},
          {"children",
           {{"forked", status.children.forked},
            {"reaped", status.children.reaped},
            {"idle", status.children.idle},
            {"busy", status.children.busy}}},
          {"pool", to_json(status.pool)},
          {"workers", to_json(status.workers)},
          {"generations", to_json(status.generations)},
          {"slots", std::move(slots)},
          {"slots_omitted", status.slots_omitted}};
}

std::string to_text(const ordered_json& status) {
  std::string listen;
  for (const auto& address : status["listen"]) listen += " " + address.get<std::string>();
  const auto& connections = status["connections"];
  const auto& children = status["children"];
  std::string text = fmt::format(
      "forkechod {}  pid {}  mode {}  {} for {:.0f} s\n"
      "listening on{}\n"
      "connections  accepted {}, active {}, served {}, fork failed {}, crashed {}\n"
      "refused      {}\n"
      "timed out    {}\n"
      "bytes        in {}, out {}\n"
      "children     forked {}, reaped {}, idle {}, busy {}\n",
      status["version"].get<std::string>(), status["pid"].get<pid_t>(),
      status["mode"].get<std::string>(), status["state"].get<std::string>(),
      status["uptime_s"].get<double>(), listen, connections["accepted"].get<std::uint64_t>(),
      connections["active"].get<std::uint64_t>(), connections["served"].get<std::uint64_t>(),
      connections["fork_failed"].get<std::uint64_t>(), connections["crashed"].get<std::uint64_t>(),
      reasons(connections["refused"]), reasons(connections["timed_out"]),
      status["bytes"]["in"].get<std::uint64_t>(), status["bytes"]["out"].get<std::uint64_t>(),
      children["forked"].get<std::uint64_t>(), children["reaped"].get<std::uint64_t>(),
      children["idle"].get<std::uint64_t>(), children["busy"].get<std::uint64_t>());
  text += pool_lines(status);
  if (!status["slots"].empty()) {
    text += fmt::format("\n{:>8}  {:<8} {:<24} {:>11} {:>12} {:>12} {:>9}\n", "PID", "STATE",
                        "PEER", "CONNECTIONS", "BYTES IN", "BYTES OUT", "SINCE");
  }
  for (const auto& slot : status["slots"]) {
    const auto peer = slot["peer"].get<std::string>();
    text += fmt::format("{:>8}  {:<8} {:<24} {:>11} {:>12} {:>12} {:>7.1f} s\n",
                        slot["pid"].get<pid_t>(), slot["state"].get<std::string>(),
                        peer.empty() ? "-" : peer, slot["connections"].get<std::uint64_t>(),
                        slot["bytes_in"].get<std::uint64_t>(),
                        slot["bytes_out"].get<std::uint64_t>(), slot["since_s"].get<double>());
  }
  if (const auto omitted = status["slots_omitted"].get<std::uint64_t>()) {
    text += fmt::format("and {} more (see --slots)\n", omitted);
  }
  return text;
}

std::string books_line(const BookTotals& books) {
  const ordered_json connections = to_json(books);
  return fmt::format(
      "books: accepted {}, active {}, served {}, refused ({}), timed out ({}), fork failed {}, "
      "crashed {}, bytes in {}, out {}",
      books.accepted, books.active(), books.served, reasons(connections["refused"]),
      reasons(connections["timed_out"]), books.fork_failed, books.crashed, books.bytes_in,
      books.bytes_out);
}

}  // namespace forkecho::server
