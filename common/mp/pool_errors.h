// What ends a task of a Pool without a value of its own, beside what the task itself throws
// (remote_error.h). Values; safe everywhere.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace forkecho::mp {

/// Tasks are numbered in the order in which they are handed to the pool, from 1 on.
using TaskNumber = std::uint64_t;

/// The worker ended while it worked on the task: it was killed, crashed, or left. Or so many did
/// before they began it that it is given up (most_deaths_before_begun).
class WorkerDied : public std::runtime_error {
 public:
  WorkerDied(int exitcode, TaskNumber task)
      : std::runtime_error("a worker of the pool ended with exit code " + std::to_string(exitcode) +
                           " while it worked on task " + std::to_string(task)),
        exitcode_(exitcode),
        task_(task) {}
  /// As Process::exitcode: -9 for one that was killed.
  int exitcode() const { return exitcode_; }
  TaskNumber task() const { return task_; }

 private:
  int exitcode_;
  TaskNumber task_;
};

/// No worker comes as far as its first task: the initializer fails each time. what() says how.
class PoolBroken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The pool was terminated, or destroyed, before the task was done.
class PoolTerminated : public std::runtime_error {
 public:
  PoolTerminated() : std::runtime_error("the pool was terminated before the task was done") {}
};

}  // namespace forkecho::mp
