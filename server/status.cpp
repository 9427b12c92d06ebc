#include "server/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
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

ordered_json to_json(const ConfinementStatus& confinement) {
  ordered_json json{{"sandbox", confinement.sandbox},
                    {"user", confinement.user},
                    {"group", confinement.group},
                    {"chroot", confinement.chroot},
                    {"capabilities", confinement.capabilities},
                    {"no_new_privs", confinement.no_new_privs},
                    {"system_calls", confinement.system_calls}};
  if (!confinement.widened_by.empty()) json["widened_by"] = confinement.widened_by;
  return json;
}

ordered_json to_json(const ForkTimeTotals& times) {
  ordered_json buckets = ordered_json::array();
  for (std::size_t i = 0; i < times.buckets.size(); ++i) {
    // Exact in decimal, which a number of seconds made by a division need not be.
    const ordered_json bound =
        i < fork_time_bounds ? ordered_json(fork_time_bound(i).count()) : ordered_json(nullptr);
    buckets.push_back({{"up_to_us", bound}, {"count", times.buckets[i]}});
  }
  return {{"count", times.count()},
          {"sum_s", static_cast<double>(times.sum_ns) * 1e-9},
          {"buckets", std::move(buckets)}};
}

ordered_json accept_queues(const Status& status) {
  ordered_json queues = ordered_json::array();
  for (std::size_t i = 0; i < status.accept_queues.size(); ++i) {
    const auto& queue = status.accept_queues[i];
    queues.push_back({{"listen", status.listen.at(i)},
                      {"length", queue ? ordered_json(queue->length) : ordered_json(nullptr)},
                      {"limit", queue ? ordered_json(queue->limit) : ordered_json(nullptr)}});
  }
  return queues;
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

ordered_json to_json(const std::vector<AcceptorView>& acceptors) {
  ordered_json list = ordered_json::array();
  for (const AcceptorView& acceptor : acceptors) {
    list.push_back({{"number", acceptor.number},
                    {"pid", acceptor.pid},
                    {"connections", {{"accepted", acceptor.accepted}, {"active", acceptor.active}}},
                    {"children", acceptor.children}});
  }
  return list;
}

ordered_json metrics(const Status& status) {
  if (status.metrics.empty()) return nullptr;
  return {{"listen", status.metrics}, {"pid", status.exporter}};
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

std::string reasons(const ordered_json& counts) {
  std::string text;
  for (const auto& [reason, count] : counts.items()) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", reason, count.get<std::uint64_t>());
  }
  return text;
}

}  // namespace

SlotStatus read_slot(const Slot& slot, sys::Clock::time_point now) {
  const std::int64_t until = now.time_since_epoch().count();
  const std::int64_t since =
      std::clamp<std::int64_t>(slot.since_ns.load(std::memory_order_relaxed), 0, until);
  return {.pid = slot.pid.load(std::memory_order_relaxed),
          .state = slot.state.load(std::memory_order_acquire),
          .peer = slot.peer.to_string(),
          .connections = slot.connections.get(),
          .bytes_in = slot.meter.bytes_in.get(),
          .bytes_out = slot.meter.bytes_out.get(),
          .since_s = std::chrono::duration<double>(sys::Duration(until - since)).count()};
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
          {"confinement", to_json(status.confinement)},
          {"fork_time", to_json(status.books.fork_times)},
          {"accept_queues", accept_queues(status)},
          {"log", {{"lost", status.log_lost}, {"access_lost", status.access_log_lost}}},
          {"acceptors", to_json(status.acceptors)},
          {"pool", to_json(status.pool)},
          {"workers", to_json(status.workers)},
          {"generations", to_json(status.generations)},
          {"metrics", metrics(status)},
          {"stress", status.stress},
          {"upgrade", {{"predecessors", status.predecessors}}},
          {"slots", std::move(slots)},
          {"slots_omitted", status.slots_omitted}};
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
