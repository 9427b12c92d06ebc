// SpareKeeper: keeps spares (spares.h) for an acceptor of single-use workers: forks them ahead of
// their clients, in the time that clients leave it, lets one go when there are too many, and counts
// those that took a client.
//
// The acceptor makes it where workers are forked ahead (forks_ahead), and asks it in every turn of
// its loop. What it decides by: how many (spares.h, pool_policy.h), when (refill.h), whether they
// are of any use (spare_watch.h). A fork that fails begins the acceptor's shortage. Not for
// threads.
#pragma once

#include <span>

#include "common/mp/reap.h"
#include "common/sys/deadline.h"
#include "server/children_in_slots.h"
#include "server/connection_child.h"
#include "server/gate.h"
#include "server/process_context.h"
#include "server/refill.h"
#include "server/shortage.h"
#include "server/spare_watch.h"
#include "server/spares.h"

namespace forkecho::server {

class SpareKeeper {
 public:
  /// `children`: as many as there may be, spare or not. Throws std::system_error.
  SpareKeeper(const ProcessContext& context, const ConnectionChild& child,
              ChildrenInSlots& children, Gate& gate, Shortage& shortage);

  /// Polls readable when a spare has taken a client.
  int fd() const { return spares_.fd(); }
  bool none_left() const { return spares_.idle() == 0; }
  /// The clients are theirs: they wait already.
  bool take_clients() const { return !none_left() && !watch_.fail(); }
  bool has(pid_t pid) const { return spares_.has(pid); }
  /// When keep() is to be called although nothing happens.
  sys::Deadline next() const;

  /// In the time that is left by clients. Those who wait are served first, by a fork each, so that
  /// the worst that can happen to this mode is to be fork mode.
  void keep(bool clients_wait);
  /// Books a client for each spare that has taken one since.
  void count_taken();
  /// A child has ended, spare or not: whether it had a client of ours. A spare that was not seen to
  /// take one may have had one all the same: then he is booked now. `said_so`: its slot did.
  bool had_client_of_ours(const mp::Exit& exit, bool said_so);
  /// A child was forked for a client who came at `came`.
  void client_came(sys::Clock::time_point came, sys::Duration fork_took);

  /// TTIN, TTOU.
  void grow(int by);
  /// No more are forked. Those that there are take clients until dismiss_all() has reached them: to
  /// be repeated, at next(), until none is left.
  void stop() { stopped_ = true; }
  void dismiss_all() const;

 private:
  void look_after();
  void dismiss_one() const;
  void fork_one();
  void tell_of_early_death(const mp::Exit& exit);

  const std::span<const Listener> listeners_;
  Book& book_;
  const ConnectionChild& child_;  // not with us, where children do not see it
  ChildrenInSlots& children_;
  Gate& gate_;
  Shortage& shortage_;
  Spares spares_;
  Refill refill_;
  SpareWatch watch_;
  bool stopped_ = false;
};

}  // namespace forkecho::server
