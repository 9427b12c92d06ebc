// What `forkechod status` shows: the figures at one moment, and their form for programs. (For a
// person: status_table.h.) The keys of the
// JSON object are part of the program's interface (README, "Status").
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "server/accept_queue.h"
#include "server/book.h"
#include "server/confinement.h"
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
  ConfinementStatus confinement = {};
  std::vector<AcceptorView> acceptors = {};  // of the current generation; where they fork children
  std::optional<PoolStatus> pool = {};
  std::optional<Fairness> workers = {};  // empty where a process serves one connection
  std::vector<GenerationView> generations = {};
  std::vector<std::optional<AcceptQueue>> accept_queues = {};  // one for each of `listen`
  std::uint64_t log_lost = 0;                                  // lines that could not be written
  std::uint64_t access_log_lost = 0;
  std::string metrics = {};              // where they are served; empty: nowhere
  pid_t exporter = 0;                    // who serves them; 0: nobody
  bool stress = false;                   // stress.h
  std::vector<pid_t> predecessors = {};  // daemons that were replaced and still serve whom they had
  std::vector<SlotStatus> slots;
  std::uint64_t slots_omitted = 0;
};

/// Reads one slot of shared memory; what a process gone wrong wrote there is shown, not believed.
SlotStatus read_slot(const Slot& slot, sys::Clock::time_point now);

nlohmann::ordered_json to_json(const Status& status);
/// The final books, on one line.
std::string books_line(const BookTotals& books);

}  // namespace forkecho::server
