// ChildRegistry: which started children have an owner waiting for their exit code. Whoever reaps
// (reap.h) delivers the code here, so that a loop that reaps everything does not steal the exit
// code of a mp::Process.
//
// One per process, private to it; a forked child starts with an empty one. Not safe between
// threads.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <vector>

namespace forkecho::mp {

/// What is known of one child, shared by its Process and the registry.
struct ChildRecord {
  pid_t pid = 0;
  std::optional<int> exitcode;
};

class ChildRegistry {
 public:
  static void add(std::shared_ptr<ChildRecord> record);
  /// Stores `exitcode` in the record of `pid`, if it has one, and drops the record.
  static void deliver(pid_t pid, int exitcode);
  /// Children that were started and not reaped yet, in the order of their start.
  static std::vector<std::shared_ptr<ChildRecord>> unreaped();
  /// In a child just forked: its parent's children are not its own. Touches no memory when there
  /// are none, so that a child per connection pays nothing for it.
  static void forget_parents_children();
};

}  // namespace forkecho::mp
