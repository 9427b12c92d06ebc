// The process tree below the supervisor: it starts acceptors or workers, each in a seat (seats.h),
// replaces them, tells them what to do, and closes the books of the dead.
//
// The supervisor alone uses it. Who is alive and how it ended comes from the kernel; the shared
// pages are read for figures only. A dead process's book is closed into the totals: what it had
// open was lost with it (crashed), except that the children of a dead acceptor go on, adopted
// (adopted_children.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/mp/reap.h"
#include "server/accept_means.h"
#include "server/access_log.h"
#include "server/adopted_children.h"
#include "server/book.h"
#include "server/confinement.h"
#include "server/elders.h"
#include "server/listener.h"
#include "server/options.h"
#include "server/pool_policy.h"
#include "server/restart_pause.h"
#include "server/scoreboard.h"
#include "server/seat_plan.h"
#include "server/seats.h"
#include "server/stall_watch.h"

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
  /// `elders`: the pages of older trees that still serve, see forget_elder.
  ProcessTree(std::shared_ptr<const Options> options, std::span<const Listener> listeners,
              Elders elders = {});

  /// Starts those who should be there from the beginning. Where a process is a connection (pool,
  /// iterative), `taken` of this tree's places are an older tree's for the time being.
  void start(unsigned taken = 0);
  /// Child `pid` has ended and is not reaped yet (mp::peek_ended). True when it was one of this
  /// tree, adopted children included: it is reaped now, and its book closed.
  bool take_ended(pid_t pid);
  /// Takes in everyone who has ended, strangers included: for a tree that is alone.
  void reap();
  /// Replaces who has died, and keeps the pool at its size. Call after the dead were taken in, and
  /// on every tick. `taken` as with start.
  void maintain(unsigned taken = 0);
  /// While draining: starts somebody where clients wait in a queue and nobody is left to serve
  /// them.
  void maintain_drain(unsigned taken = 0);
  /// Everyone accepts nobody more, serves whom they have, and leaves (USR1); nobody is replaced.
  /// `maintain` repeats it until they are gone.
  void retire_all();
  /// Of a tree that was told to retire: nobody need wait any longer for its doors (elders.h).
  void stop_waiting_for_doors();
  /// One of its processes has settled in and would accept; or there is no place for one yet.
  bool is_ready() const;
  /// Of a tree that was told to retire: one of its processes may still take somebody in. By what
  /// they say themselves.
  bool still_accepts() const;
  /// Processes that sit in this tree and may serve, by the supervisor's own count; not adopted
  /// children.
  unsigned seated() const { return seats_.seated(); }
  /// One worker more, or less, from now on (TTIN, TTOU). What was done, or why nothing was, for the
  /// log.
  std::string grow(int by);
  /// Sends `signal` to every acceptor and worker, and, where `adopted_signal` is not 0, that one to
  /// the adopted children.
  void tell(int signal, int adopted_signal);
  /// SIGKILL to everyone, adopted children included.
  void kill_all();
  /// Nobody is left, adopted children included.
  bool empty() const;

  BookTotals totals() const;
  ChildCounts children() const;
  /// What it is to keep, with what grow has added. Of a pool.
  PoolSizes sizes() const;
  int grown() const { return grown_; }
  /// Connections that each living worker has taken; empty where a process serves only one.
  std::vector<std::uint64_t> served_by_each() const { return seats_.served_by_each(); }
  /// Calls `visit` for at most `most` slots in use; returns how many more are in use.
  std::uint64_t visit_slots(std::uint64_t most,
                            const std::function<void(const Slot&)>& visit) const;
  /// The acceptors who are there, and whom they serve.
  std::vector<AcceptorView> acceptors() const { return seats_.acceptors(); }
  /// For a process that serves nobody: it can no longer write what is shared with this tree's.
  void make_memory_read_only();
  /// False while nothing happens: then a tick may come later.
  bool is_busy() const;
  /// What they are confined to; and the same as the kernel tells it of one of them.
  const Confinement& confinement() const { return confinement_; }
  ConfinementStatus confinement_status() const;

  const Options& options() const { return *options_; }
  /// For those who come after it.
  const std::shared_ptr<GenerationPages>& pages() const { return seats_.pages(); }
  /// The tree of `pages` is gone.
  void forget_elder(const std::shared_ptr<GenerationPages>& pages);

 private:
  bool is_pool() const { return options_->mode == Mode::pool; }
  /// Acceptors sit here.
  bool forks_children() const { return server::forks_children(*options_); }
  bool is_sized() const { return server::is_sized(*options_); }
  /// A table of who is served, beside the pages.
  bool keeps_slots() const {
    return forks_children() || (options_->mode == Mode::event && has_access_log());
  }
  const char* kind_of(const Seat& seat) const {
    return forks_children() || seat.passes ? "acceptor" : "worker";
  }
  unsigned places() const { return server::places(*options_, seats_.places(), taken_); }
  bool may_start() const { return pause_.is_over(sys::Clock::now()); }
  std::span<const Listener> listeners_of(const Seat& seat) const;
  void occupy(Seat& seat);
  void start_process(Seat& seat);
  void on_end(Seat& seat, const mp::Exit& exit);
  void close_book(Seat& seat);
  void note_failure(const Seat& seat, const mp::Exit& exit);
  pid_t settle_reaping(const Reaping& reaping, const BookTotals& book);
  void replace_dead();
  void resize_pool();
  void repeat_retiring();
  void evict_late_leavers();
  void watch_for_stall();
  void renew_lock(const char* why);
  bool somebody_waits() const;
  void keep_passing();
  void empty_pipe();
  void empty_own_queues();
  void spawn(unsigned count);
  void retire_one();
  void retire(Seat& seat);
  PoolState pool_state() const;
  std::uint64_t idle_children() const;
  void tell_of_lies(const Seat& seat) const;

  std::shared_ptr<const Options> options_;
  std::span<const Listener> listeners_;
  const Confinement confinement_;
  AcceptMeans means_;
  Seats seats_;
  AdoptedChildren adopted_;
  Elders elders_;
  BookTotals closed_;   // the books of the dead; and what we book ourselves
  unsigned taken_ = 0;  // of our places by older trees, as was said last
  bool retired_ = false;
  unsigned burst_ = 1;
  unsigned to_replace_ = 0;
  bool killing_ = false;  // deaths are our own doing, and nothing to tell of
  int grown_ = 0;
  StallWatch stall_;
  RestartPause pause_;
};

}  // namespace forkecho::server
