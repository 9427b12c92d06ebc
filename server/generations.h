// Generations: the process trees below the supervisor. One is current and accepts; older ones,
// replaced by a reload, accept nobody more, serve whom they have, and are dropped when they are
// empty. Each keeps the options that it was started with.
//
//   replace(new options)     a new tree is started beside the current one
//     its processes settle in        -> it becomes current, the old one is told to retire (USR1)
//     the old one has shut its doors -> the outcome is told: from now on only the new one accepts
//     nobody settles in              -> it is killed; the old one goes on; the outcome is the error
//
// The listeners are the supervisor's and outlive every generation: nobody in the queue is lost, and
// at no moment is nobody there who will accept. Limits hold over all generations: in the pool and
// iterative, where a process is a connection, the seats of all are counted here; in fork and event
// mode the processes look at their elders' pages (elders.h).
//
// The supervisor alone uses it. Nothing here blocks; time passes in maintain().
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/sys/deadline.h"
#include "server/listener.h"
#include "server/options.h"
#include "server/process_tree.h"

namespace forkecho::server {

/// What `status` shows of a generation.
struct GenerationView {
  unsigned number = 1;  // from 1
  bool draining = false;
  double since_s = 0;  // for so long it has been current, or draining
  std::uint64_t active = 0;
};

class Generations {
 public:
  /// Starts the first one.
  Generations(std::shared_ptr<const Options> options, std::span<const Listener> listeners);
  void start();

  /// An empty error: only the new generation accepts. Else nothing has changed.
  using Outcome = std::function<void(const std::string& error)>;
  /// Starts a generation with `options`, whose mode must be the current one's. Not while one is
  /// being replaced. `outcome` is called from here, maintain or give_up_replacing.
  void replace(std::shared_ptr<const Options> options, Outcome outcome);
  bool is_replacing() const { return static_cast<bool>(outcome_); }
  /// Ends a replacing at once, for better or worse: the daemon drains or ends.
  void give_up_replacing();

  /// Those of the current generation.
  const Options& options() const { return *current_.options; }
  ProcessTree& current() { return *current_.tree; }
  const ProcessTree& current() const { return *current_.tree; }
  unsigned number() const { return current_.number; }

  /// See ProcessTree; each acts on, or sums over, all generations.
  bool take_ended(pid_t pid);
  void maintain();
  void maintain_drain();
  /// Everyone accepts nobody more and leaves, see ProcessTree; maintain repeats it.
  void retire_all();
  void tell(int signal, int adopted_signal);
  void kill_all();
  bool empty() const;
  BookTotals totals() const;
  ChildCounts children() const;
  std::uint64_t visit_slots(std::uint64_t most,
                            const std::function<void(const Slot&)>& visit) const;
  void make_memory_read_only();
  bool is_busy() const;
  /// For what the supervisor tells all processes, or reads of them (admission_watch.h).
  void for_each_pages(const std::function<void(const GenerationPages&)>& visit) const;
  /// The current one first, then the older ones, the youngest first.
  std::vector<GenerationView> views() const;

 private:
  struct Generation {
    unsigned number = 0;
    std::shared_ptr<const Options> options;
    std::unique_ptr<ProcessTree> tree;
    sys::Clock::time_point since = sys::Clock::now();
    /// For a retired one: when we stop waiting for its doors to be shut; never: we do not wait.
    sys::Deadline doors = sys::Deadline::never();
  };
  Generation make(std::shared_ptr<const Options> options);
  template <typename Visit>
  void for_each(Visit visit) const;
  unsigned seated_beside(const ProcessTree& tree) const;
  void keep_replacing();
  void promote();
  void dismiss(const std::string& why);
  void conclude(const std::string& error);
  void watch_doors();
  void drop_the_empty();

  std::span<const Listener> listeners_;
  unsigned last_number_ = 0;
  Generation current_;
  std::optional<Generation> candidate_;  // started, not ready
  std::list<Generation> elders_;         // the youngest first
  BookTotals closed_;                    // of those that are gone
  Outcome outcome_;
  sys::Deadline ready_by_ = sys::Deadline::never();
};

}  // namespace forkecho::server
