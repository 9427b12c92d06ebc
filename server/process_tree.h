// The process tree below the supervisor: acceptors or workers, each in a seat; what a dead acceptor
// left behind; and the books of them all.
//
// The supervisor alone uses it. Who is alive and how it ended comes from the kernel; the shared
// pages are read for figures only. A dead process's book is closed into the totals: what it had
// open was lost with it (crashed), except that the children of a dead acceptor go on, adopted (the
// supervisor is a sub-reaper), and are booked by their own exit codes. They are told by their
// process group, which is the acceptor's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "common/mp/reap.h"
#include "server/backoff.h"
#include "server/book.h"
#include "server/listener.h"
#include "server/options.h"
#include "server/pool_policy.h"
#include "server/scoreboard.h"

namespace forkecho::server {

/// The children that serve connections, as `status` shows them: forked = reaped + idle + busy.
struct ChildCounts {
  std::uint64_t forked = 0;
  std::uint64_t reaped = 0;
  std::uint64_t idle = 0;
  std::uint64_t busy = 0;
};

class ProcessTree {
 public:
  ProcessTree(const Options& options, std::span<const Listener> listeners);

  /// Starts those who should be there from the beginning.
  void start();
  /// Reaps everyone who has ended and closes their books. Call on SIGCHLD.
  void reap();
  /// Replaces who has died, and keeps the pool at its size. Call after reap and on every tick.
  void maintain();
  /// While draining: starts somebody where clients wait in a queue and nobody is left to serve
  /// them.
  void maintain_drain();
  /// Sends `signal` to every acceptor and worker, and, where `orphans_signal` is not 0, that one to
  /// the adopted children.
  void tell(int signal, int orphans_signal);
  /// SIGKILL to everyone, adopted children included.
  void kill_all();
  /// Nobody is left, adopted children included.
  bool empty() const;

  BookTotals totals() const;
  ChildCounts children() const;
  /// Calls `visit` for each slot in use.
  void for_each_slot(const std::function<void(const Slot&)>& visit) const;
  /// False while nothing happens: then a tick may come later.
  bool is_busy() const;

 private:
  /// A place for one acceptor or worker, with the page that whoever sits there writes.
  struct Seat {
    std::optional<mp::Process> process;
    pid_t pid = 0;
    bool retiring = false;
    sys::Clock::time_point started{};
    std::unique_ptr<mp::RawArray<Slot>> slots;  // an acceptor's
  };
  /// The children of an acceptor that has died.
  struct Orphans {
    pid_t group;
    std::uint64_t open;      // connections not accounted for yet
    std::uint64_t unreaped;  // children not reaped yet
    std::unique_ptr<mp::RawArray<Slot>> slots;
  };

  /// Workers that the supervisor itself adds and retires.
  bool is_sized() const { return options_.mode == Mode::pool && !forks_children(); }
  /// Acceptors sit here, and fork children for the connections.
  bool forks_children() const {
    return options_.mode == Mode::fork || has_single_use_workers(options_);
  }
  std::size_t child_limit() const;
  std::uint64_t idle_children() const;
  PoolSizes sizes() const;
  Seat* seat_of(pid_t pid);
  Seat* free_seat();
  void occupy(Seat& seat);
  void on_end(Seat& seat, const mp::Exit& exit);
  void close_book(Seat& seat);
  void note_failure(const Seat& seat, const mp::Exit& exit);
  bool has_proved_itself(const Seat& seat) const;
  bool others_are_well(const Seat& dead) const;
  void reap_orphans();
  void dismiss_orphaned_spares() const;
  void on_orphan_end(Orphans& orphans, const mp::Exit& exit);
  void replace_dead();
  void resize_pool();
  void spawn(unsigned count);
  void retire_one();
  PoolState pool_state() const;
  std::size_t index_of(const Seat& seat) const {
    return static_cast<std::size_t>(&seat - seats_.data());
  }
  bool is_serving(const Seat& seat) const;
  unsigned seated() const;

  const Options& options_;
  std::span<const Listener> listeners_;
  std::vector<Seat> seats_;
  mp::RawArray<ProcessPage> pages_;
  std::vector<Orphans> orphans_;
  BookTotals closed_;
  unsigned burst_ = 1;
  unsigned to_replace_ = 0;
  bool killing_ = false;  // deaths are our own doing, and nothing to tell of
  Backoff backoff_;
  sys::Clock::time_point last_early_death_{};
  sys::Deadline not_before_;
};

}  // namespace forkecho::server
