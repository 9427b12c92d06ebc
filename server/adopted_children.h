// AdoptedChildren: the children of acceptors that have died. They go on serving, adopted (the
// supervisor is a sub-reaper), and are booked by their own exit codes. They are told apart by their
// process group, which is their acceptor's.
//
// A process tree has one, and is itself the supervisor's. Who is alive and how it ended comes from
// the kernel; slots are read for figures only. How many connections they have open is published in
// the supervisor's page of the tree (elders.h), and by whom in its table of sources, for those who
// keep limits. Not for threads.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/mp/reap.h"
#include "server/access_log.h"
#include "server/book.h"
#include "server/elders.h"
#include "server/options.h"
#include "server/slot_table.h"

namespace forkecho::server {

class AdoptedChildren {
 public:
  /// `pages`: those of the tree.
  AdoptedChildren(std::shared_ptr<const Options> options, std::shared_ptr<GenerationPages> pages);

  /// What an acceptor left.
  struct Legacy {
    pid_t group;
    std::uint64_t open;      // connections not accounted for yet
    std::uint64_t unreaped;  // children not reaped yet
    pid_t booked;            // one of them that its acceptor has booked; 0: none
    std::unique_ptr<SlotTable> slots;
  };
  void adopt(Legacy legacy);
  /// Child `pid` has ended and is not reaped yet (mp::peek_ended). True when it was one of these:
  /// it is reaped now, and booked.
  bool take_ended(pid_t pid);
  /// On every tick. Who is left is the kernel's to say: a dead acceptor's books may have had more
  /// than there were.
  void look_after();
  /// Sends `signal` to all.
  void tell(int signal) const;

  bool empty() const { return families_.empty(); }
  /// What became of them since they were adopted.
  const BookTotals& booked() const { return booked_; }
  /// Calls `visit` for at most `most` slots in use; returns how many more are in use.
  std::uint64_t visit_slots(std::uint64_t most,
                            const std::function<void(const Slot&)>& visit) const;

 private:
  /// The children of one acceptor.
  struct Family : Legacy {
    /// Where each serves, as the slots said when they were adopted.
    std::unordered_map<pid_t, Slot*> slot_of = {};
  };
  bool take(pid_t pid);
  void reap_all();
  bool reap(Family& family);
  void write_off(const Family& family);
  void on_end(Family& family, const mp::Exit& exit);
  static Slot* slot_of(const Family& family, pid_t pid);
  void book(Family& family, Ending ending, const AccessEntry& entry);
  void publish();
  void adopt_source(const Slot& slot);
  void forget_source(const Slot& slot);

  std::shared_ptr<const Options> options_;
  std::shared_ptr<GenerationPages> pages_;
  std::vector<Family> families_;
  BookTotals booked_;
};

}  // namespace forkecho::server
