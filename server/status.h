// What `forkechod status` shows: the figures at one moment, and their two forms. The keys of the
// JSON object are part of the program's interface (README, "Status").
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "server/book.h"
#include "server/fairness.h"
#include "server/generations.h"
#include "server/life_cycle.h"
#include "server/options.h"
#include "server/process_tree.h"

namespace forkecho::server {

struct SlotStatus {
  pid_t pid = 0;
  SlotState state = SlotState::free;
  std::string peer;  // empty when idle
  std::uint64_t connections = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  double since_s = 0;  // how long it has been in this state
};

/// Of a pool: who accepts, and the sizes in force, with what TTIN and TTOU have changed.
struct PoolStatus {
  Accept accept = Accept::shared;
  PoolSizes sizes{};
  int grown = 0;
};

struct Status {
  pid_t pid = 0;
  Mode mode = Mode::fork;
  State state = State::starting;
  double uptime_s = 0;
  std::vector<std::string> listen;
  BookTotals books;
  ChildCounts children;
  std::optional<PoolStatus> pool = {};
  std::optional<Fairness> workers = {};  // empty where a process serves one connection
  std::vector<GenerationView> generations = {};
  std::vector<SlotStatus> slots;
  std::uint64_t slots_omitted = 0;
};

/// Reads one slot of shared memory; what a process gone wrong wrote there is shown, not believed.
SlotStatus read_slot(const Slot& slot, sys::Clock::time_point now);

nlohmann::ordered_json to_json(const Status& status);
/// For a person: the same in a few lines and a table.
std::string to_text(const nlohmann::ordered_json& status);
/// The final books, on one line.
std::string books_line(const BookTotals& books);

}  // namespace forkecho::server
