// ChildRegistry: what a process knows of the children that it started as Process and that were not
// reaped yet. Whoever reaps (reap.h) delivers the exit code here, so that a loop that reaps
// everything does not steal the exit code of a Process; whoever ends (leave.h) finds here whom to
// wait for.
//
// One per process, private to it; a forked child starts with an empty one. Between threads every
// call, and every look into a record, is made under a RegistryGuard.
#pragma once

#include <sys/single_threaded.h>
#include <sys/types.h>

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "common/mp/current_process.h"
#include "common/sys/descriptor.h"

namespace forkecho::mp {

/// What is known of one child, shared by its Process and the registry.
struct ChildRecord {
  pid_t pid = 0;
  std::optional<int> exitcode = {};
  ProcessIdentity identity = {};
  bool detached = false;          // the end of its parent is nothing to it
  sys::Descriptor lifeline = {};  // see lifeline.h
};

/// One thread at a time in the registry. Costs nothing in a process that has no threads. Not
/// recursive.
class RegistryGuard {
 public:
  RegistryGuard() {
    if (!__libc_single_threaded) lock_ = std::unique_lock(mutex());
  }

 private:
  static std::mutex& mutex();
  std::unique_lock<std::mutex> lock_;
};

/// Sends signal `number` to a child that nobody has reaped, under the guard, which it takes: its
/// pid is its own for as long. 0, or why not: ESRCH once it was reaped, EPERM, EINVAL.
int signal_child(const ChildRecord& record, int number);

class ChildRegistry {
 public:
  static void add(std::shared_ptr<ChildRecord> record);
  /// Takes back the add of a child that did not come to be.
  static void drop_latest();
  /// Stores `exitcode` in the record of `pid`, if it has one, and drops the record. False when it
  /// had none: nobody's Process, or delivered before.
  static bool deliver(pid_t pid, int exitcode);
  /// The kernel has just given `pid` to a new child: whoever had it before was reaped by somebody
  /// else, and every record of it gets exit_unknown (reap.h).
  static void lose(pid_t pid);
  /// Whether there is a child that was started and not reaped yet. Touches no memory but to read.
  static bool any();
  /// Children that were started and not reaped yet, in the order of their start.
  static std::vector<std::shared_ptr<ChildRecord>> unreaped();
  /// In a child just forked: its parent's children are not its own. Their records stay in memory.
  /// Touches nothing when there are none, so that a child per connection pays nothing for it.
  static void forget_parents_children();
};

}  // namespace forkecho::mp
