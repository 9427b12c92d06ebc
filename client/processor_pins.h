// ProcessorPins: on which processors the load processes may run, and which a server may that the
// client started (`--pin server:0,client:1-3`). Read by the command line, written into results,
// done in each process by pin_this_process.
//
// A value type; all but find_unavailable and pin_this_process is pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace forkecho::client {

/// Numbers of processors as in /proc/cpuinfo, rising; empty = wherever this program may run.
using Processors = std::vector<unsigned>;

struct ProcessorPins {
  Processors server;
  Processors client;

  /// "ROLE:LIST,ROLE:LIST", where a list is made as taskset's: 0, 0-3, 0,2-3. Each of the roles
  /// `server` and `client` once at most. Empty for anything else, and for a number of 1,024 or
  /// more, for which the kernel's usual set has no room.
  static std::optional<ProcessorPins> parse(std::string_view text);
  /// The form that parse reads; "" when nothing is pinned.
  std::string to_string() const;
};

/// Those of `wanted` on which the calling process may not run, as a list; "" when there are none.
std::string find_unavailable(const Processors& wanted);

/// Confines the calling thread, and what it will fork, to `processors`; does nothing when there are
/// none. Throws std::system_error when the kernel refuses.
void pin_this_process(const Processors& processors);

}  // namespace forkecho::client
