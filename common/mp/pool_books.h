// PoolBooks: which worker of a Pool has which task, and who gets the next: the decisions of
// PoolCore (pool_core.h), which does the deeds. No system calls and no clock; private to the pool's
// maker.
//
// Tasks are handed out in the order of their numbers. A worker has at most two that it has not
// answered: the one that it works on, and one that it begins with while its answer is on its way.
// The second can be recalled as long as it was not begun: that is advised when another worker has
// nothing to do, so that no task waits behind a long one for want of a worker. The same holds for
// the first of a worker that has not come through its initializer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "common/mp/pool_errors.h"

namespace forkecho::mp {

/// What becomes of the task that a worker died with.
enum class OnWorkerDeath {
  fail,   // WorkerDied
  retry,  // another worker gets it, up to PoolOptions::max_retries times; then WorkerDied
};

/// So many workers may die one after the other with the same task before them and not begun: what
/// kills them is likely the task's message (no memory for it), and would kill the next as well.
inline constexpr unsigned most_deaths_before_begun = 10;

/// Whether a task is to be handed out again when its worker died. `retries` is how often it was
/// handed out again after it had been begun, `deaths_before_begun` how many workers died for which
/// it was the next, and did not begin it. Where begun, the policy says; elsewhere it always is, up
/// to most_deaths_before_begun.
constexpr bool hand_out_again(bool begun, OnWorkerDeath policy, unsigned retries,
                              unsigned max_retries, unsigned deaths_before_begun = 0) {
  if (!begun) return deaths_before_begun < most_deaths_before_begun;
  return policy == OnWorkerDeath::retry && retries < max_retries;
}

class PoolBooks {
 public:
  /// One hand-out of a task to the worker in a place. Tickets of a place rise by one.
  struct Offer {
    std::size_t place;
    std::uint64_t ticket;
    TaskNumber task;
    friend bool operator==(const Offer&, const Offer&) = default;
  };
  /// How many a worker may have that it did not answer.
  static constexpr std::size_t depth = 2;

  /// For `places` workers, all vacant; each worker leaves after `tasks_per_worker` (0: never).
  PoolBooks(std::size_t places, unsigned tasks_per_worker);

  // A worker.
  void worker_came(std::size_t place);
  /// It came through its initializer, and takes tasks.
  void worker_ready(std::size_t place);
  bool ready(std::size_t place) const { return places_[place].ready; }
  /// What it has not answered, the oldest first. The place is vacant afterwards; each task is to be
  /// given to wait() again, or is over.
  std::vector<Offer> worker_went(std::size_t place);
  bool vacant(std::size_t place) const { return !places_[place].present; }
  /// It answered as many as it may, and leaves.
  bool spent(std::size_t place) const;

  // A task.
  void wait(TaskNumber task) { waiting_.insert(task); }
  std::size_t waiting() const { return waiting_.size(); }
  /// The next hand-out; empty when nothing waits or nobody may have more. To be told by offered, or
  /// refused.
  std::optional<Offer> next_offer() const;
  void offered(const Offer& offer);
  /// The task that cannot be sent ends: it waits no longer.
  void drop(TaskNumber task) { waiting_.erase(task); }
  /// The answer with `ticket` came; empty when it is not the one that was due.
  std::optional<TaskNumber> answered(std::size_t place, std::uint64_t ticket);
  std::size_t unanswered(std::size_t place) const { return places_[place].unanswered.size(); }
  /// The ticket of the next hand-out to there.
  std::uint64_t next_ticket(std::size_t place) const { return places_[place].last_ticket + 1; }
  /// The ticket of the next answer from there; only where something is unanswered.
  std::uint64_t due(std::size_t place) const { return places_[place].unanswered.front().ticket; }

  /// A hand-out that should be taken back for a worker that has nothing to do. To be told by
  /// recalled, or by too_late when the worker has begun it.
  std::optional<Offer> next_recall() const;
  void recalled(const Offer& offer);
  void too_late(const Offer& offer);

 private:
  struct Place {
    bool present = false;
    bool ready = false;
    bool closed = false;  // to hand-outs, until it has come past a recalled one
    unsigned answers = 0;
    std::uint64_t last_ticket = 0;
    std::uint64_t begun = 0;  // the latest ticket that is known to be begun
    std::vector<Offer> unanswered;
  };
  bool may_have_more(const Place& place, std::size_t limit) const;
  bool overtaken(TaskNumber task) const;
  const Offer* recallable(const Place& place) const;

  unsigned tasks_per_worker_;
  std::vector<Place> places_;
  std::set<TaskNumber> waiting_;
};

}  // namespace forkecho::mp
