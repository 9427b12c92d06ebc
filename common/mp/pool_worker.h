// A worker of a Pool: the loop that it runs, and the words in shared memory by which it and the
// pool's maker agree on what was begun.
//
// Every hand-out of a task to a place has a ticket. The worker begins a task by turning its
// ticket's word from "offered" into "begun", the maker takes it back by turning it into "recalled";
// each is one atomic exchange, so that one of the two has it, whatever moment either is killed at.
// When a worker is dead the word tells whether it had begun: a task that was not may be given to
// another without the danger of being done twice.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "common/mp/connection.h"

namespace forkecho::mp::detail {

/// One for each place in a pool, in shared memory. Written by the worker of the place and by the
/// maker, and by nobody else.
class alignas(64) WorkerSlot {
 public:
  enum class Stage : std::uint32_t { newborn, initialising, ready, serving };

  // By the maker.
  /// Before the worker of the place is forked.
  void reset() { stage_.store(Stage::newborn, std::memory_order_release); }
  /// Before the task is sent.
  void offer(std::uint64_t ticket);
  /// True when the worker will not begin it any more; false when it has.
  bool recall(std::uint64_t ticket);
  /// Of a dead worker: whether it had begun.
  bool begun(std::uint64_t ticket) const;
  Stage stage() const { return stage_.load(std::memory_order_acquire); }

  // By the worker.
  void set_stage(Stage stage) { stage_.store(stage, std::memory_order_release); }
  /// True when the task is to be done; false when it was recalled.
  bool begin(std::uint64_t ticket);
  bool was_recalled(std::uint64_t ticket) const;

 private:
  enum State : std::uint64_t { offered, begun_state, recalled };
  // Never more words are in use than a worker may have unanswered, and one recalled between.
  static constexpr std::size_t words = 4;
  std::atomic<std::uint64_t>& word(std::uint64_t ticket) { return words_[ticket % words]; }
  static std::uint64_t value(std::uint64_t ticket, State state) { return ticket * 4 + state; }
  bool turn(std::uint64_t ticket, State to);

  std::atomic<Stage> stage_;
  std::array<std::atomic<std::uint64_t>, words> words_;
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

/// What a worker is given.
struct WorkerPlan {
  Connection* connection;  // its end
  WorkerSlot* slot;
  const std::function<void()>* initializer;  // may be empty
  std::uint64_t first_ticket = 1;            // of the first task that it is sent
  unsigned tasks = 0;                        // leaves after so many; 0: never
};

/// Serves until it is told to leave, the maker is gone, or it has done its number of tasks. The
/// exit code.
int serve_pool(const WorkerPlan& plan);

}  // namespace forkecho::mp::detail
