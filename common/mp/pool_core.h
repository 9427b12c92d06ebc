// PoolCore: what a Pool is beside the types of its tasks: the workers, the messages to and from
// them, their deaths and replacements. Its decisions are those of PoolBooks.
//
// It has no thread: what there is to do is done in turns, by whoever waits for a result or asks for
// one. Of one process, its maker: in any other every call is std::logic_error. Not safe between
// threads. Callbacks (ResultSink) may use the pool.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/mp/connection.h"
#include "common/mp/pool_books.h"
#include "common/mp/pool_errors.h"
#include "common/mp/pool_worker.h"
#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

struct PoolOptions {
  /// Called in each worker before its first task. Captures are inherited at the fork.
  std::function<void()> initializer{};
  /// A worker is replaced after so many tasks (a chunk of map is one); empty: never.
  std::optional<unsigned> maxtasksperchild{};
  OnWorkerDeath on_worker_death = OnWorkerDeath::fail;
  /// With OnWorkerDeath::retry: how often a task is begun again at most.
  unsigned max_retries = 3;
};

namespace detail {

/// Takes what comes of the calls of one submission.
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  /// The answers of calls [first, first + count); calls the user's callback when all are there.
  virtual void take(std::size_t first, std::size_t count, Decoder& answers) = 0;
  /// They ended with `error`.
  virtual void fail(std::size_t first, std::size_t count, std::exception_ptr error) = 0;
  /// As fail, without a callback: the pool ends.
  virtual void abandon(std::exception_ptr error) = 0;
};

class PoolCore {
 public:
  /// Starts the workers. Throws std::invalid_argument, std::system_error (the system refuses a
  /// process or a descriptor), std::logic_error (in a daemon process).
  PoolCore(int processes, PoolOptions options);
  PoolCore(const PoolCore&) = delete;
  PoolCore& operator=(const PoolCore&) = delete;
  ~PoolCore();

  /// Hands in the calls [first, first + count) of `sink` as one task; the caller has asked
  /// check_running before. Throws std::logic_error unless the pool runs, PoolBroken,
  /// std::length_error for a message that is too long.
  TaskNumber submit(Bytes message, std::shared_ptr<ResultSink> sink, std::size_t first,
                    std::size_t count);
  /// std::logic_error unless the pool runs and the caller is its maker, PoolBroken.
  void check_running() const;
  /// Takes turns until done() or the deadline; whether done(). Looks at least once. Throws what a
  /// callback throws, and std::system_error when there is no worker and the system refuses one:
  /// what waits goes on waiting, and the next call tries again.
  template <typename Done>
  bool wait(Done done, sys::Deadline deadline) {
    check_owner();
    if (done()) return true;
    for (;;) {
      take_turn(deadline);
      if (done()) return true;
      if (deadline.passed()) return false;
    }
  }
  /// Gives waiting tasks to workers that may have more. It may meet a death, and with that a
  /// callback: what this throws is thrown by the next wait.
  void hand_out_quietly();

  std::size_t processes() const { return places_.size(); }
  std::vector<pid_t> worker_pids() const;
  void close();
  void terminate();
  bool join(sys::Deadline deadline);

 private:
  enum class State { running, closed, terminated };
  struct Task {
    Bytes message;
    std::shared_ptr<ResultSink> sink;
    std::size_t first;
    std::size_t count;
    unsigned retries = 0;
    unsigned deaths_before_begun = 0;
  };
  /// A worker, or the vacant place of one.
  struct Place {
    std::optional<Process> process;
    std::optional<Connection> connection;
  };

  void check_owner() const;
  void check_state() const;
  // Workers.
  void start_worker(std::size_t place);
  [[noreturn]] void run_worker(std::size_t place, Pipe& pipe);
  bool needs_workers() const;
  bool any_worker() const;
  void replace_missing();
  void note_ready_workers();
  void retire(std::size_t place);
  void bury(std::size_t place);
  void note_death_before_ready(WorkerSlot::Stage stage, int exitcode);
  void break_pool(const std::string& reason);
  void end_workers();
  void tell_all_to_leave();
  void reap_leavers();
  bool wait_for_leavers(sys::Deadline deadline);
  // Messages.
  void hand_out();
  bool recall_one();
  bool offer_one();
  bool send(const PoolBooks::Offer& offer);
  void take_turn(sys::Deadline deadline);
  std::optional<std::size_t> only_busy_place() const;
  void wait_for_one(std::size_t place);
  void wait_for_any(sys::Deadline deadline);
  void take_all(std::size_t place);
  void take_message(std::size_t place, BytesView message);
  Connection::Attempt receive(std::size_t place, Connection::Wait wait);
  void lose_answer(std::size_t place, std::exception_ptr reason);
  void look_after(std::size_t place);
  void hear_out(std::size_t place);
  // Tasks.
  std::vector<TaskNumber> settle(const std::vector<PoolBooks::Offer>& unanswered,
                                 WorkerSlot::Stage stage);
  void fail_tasks(const std::vector<TaskNumber>& numbers,
                  const std::function<std::exception_ptr(TaskNumber)>& error);

  PoolOptions options_;
  pid_t owner_;
  State state_ = State::running;
  std::optional<std::string> broken_;
  PoolBooks books_;
  RawArray<WorkerSlot> slots_;
  std::vector<Place> places_;
  std::vector<Process> leavers_;
  std::map<TaskNumber, Task> tasks_;  // those that have not ended
  TaskNumber last_number_ = 0;
  unsigned deaths_before_ready_ = 0;  // in a row
  unsigned failed_initializers_ = 0;  // in a row
  std::string initializer_error_;
  std::exception_ptr refused_;    // why the system gave no process for a vacant place
  std::exception_ptr postponed_;  // thrown by a callback, to be thrown by the next wait
};

}  // namespace detail
}  // namespace forkecho::mp
