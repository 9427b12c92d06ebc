// Spares: children that an acceptor has forked ahead of their clients (single-use workers of the
// pool). Each waits in accept, takes one client, says so (announce), serves it and leaves.
//
// The acceptor's SpareKeeper alone uses it, but for announce, which its children call. Which child
// is a spare, the acceptor knows from a table that no child has; whether one has taken a client,
// the child says in its slot, and its exit code says again.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <span>

#include "common/mp/raw_shared.h"
#include "common/sys/descriptor.h"
#include "server/options.h"
#include "server/pool_policy.h"
#include "server/scoreboard.h"

namespace forkecho::server {

class Spares {
 public:
  /// `grown`: as grown_sizes has it. `children`: the most that there may be, spare or not.
  Spares(const PoolSizes& sizes, int grown, std::uint32_t children);

  /// Polls readable after an announce.
  int fd() const { return announcements_.get(); }
  /// In a child, which does not see us, once its slot says that it serves. One system call.
  static void announce(int fd);

  std::uint32_t idle() const { return count_; }
  void add(pid_t pid, std::uint32_t slot);
  bool has(pid_t pid) const;
  /// False when `pid` is none: its client was counted.
  bool remove(pid_t pid);
  /// How many have announced themselves since; they are spares no more. No wait.
  unsigned collect(std::span<const Slot> slots);
  void for_each_pid(const std::function<void(pid_t)>& visit) const;

  /// How many to fork now, where there are `children`, and whether one should leave.
  PoolDecision decide(std::uint32_t children);
  /// Enough are left to put off forking others until whoever was taken has served: a fork beside
  /// him would hold him up.
  bool can_wait() const { return count_ > 0 && 2 * count_ >= target_; }
  /// A client came when none was left: more will be kept ahead.
  void ran_out();
  /// Nothing happened for a while: slowly fewer again.
  void relax();
  /// TTIN, TTOU.
  void grow(int by);

 private:
  struct Entry {
    pid_t pid;
    std::uint32_t slot;
  };
  PoolSizes sizes() const;

  PoolSizes configured_;
  int grown_;
  unsigned target_;  // spares to keep, min_spare to max_spare
  unsigned burst_;
  sys::Descriptor announcements_;
  mp::RawArray<Entry> entries_;  // mapped shared, so that a fork marks nothing copy-on-write
  std::uint32_t count_ = 0;
};

}  // namespace forkecho::server
