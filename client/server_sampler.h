// ServerSampler: looks into a server's processes around and in the middle of one slice of load.
// Used by compare for the servers that it started.
//
// Of the process that made it; not safe between threads (it forks a child that looks while the load
// runs).
#pragma once

#include <cstdint>
#include <optional>

#include "client/comparison.h"
#include "client/process_usage.h"
#include "client/server_under_test.h"
#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "common/sys/deadline.h"

namespace forkecho::client {

class ServerSampler {
 public:
  /// Before the load: reads what has been used so far, and will count processes and memory `middle`
  /// from now. `supervisor` is the root of the server's processes.
  ServerSampler(pid_t supervisor, sys::Duration middle);
  /// After the load. Empty when the server is gone.
  std::optional<ServerSample> finish();

 private:
  struct Seen {
    bool looked;
    bool memory_known;
    std::uint64_t processes;
    std::uint64_t pss_bytes;
  };
  void look_at(sys::Duration middle);

  pid_t supervisor_;
  std::optional<std::uint64_t> idle_bytes_;
  std::optional<TreeUsage> before_;
  std::optional<std::uint64_t> switches_before_;
  mp::RawValue<Seen> seen_;
  mp::Process look_;
};

/// What was used between two looks. Context switches are those of processes that both saw: when any
/// came or went, their part is lost, and the figure is empty. Pure.
ServerSample usage_between(const TreeUsage& before, const TreeUsage& after);

/// Adds what the server itself counted: forks, and how evenly the connections fell on the workers
/// that both statuses know. Pure.
void add_counts(ServerSample& sample, const ServerStatus& before, const ServerStatus& after);

}  // namespace forkecho::client
