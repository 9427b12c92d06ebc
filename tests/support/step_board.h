// StepBoard: orders for a daemon built with steps (common/mp/step.h): what a process of it does
// when it comes to a step. The board lies in a file that the test and all processes of the daemon
// map, so that an order can be given, seen done and taken back while they run.
//
// The daemon's side is obey_steps.cpp, which the program forkechod_with_steps has and no other; the
// test's side is step_control.h. Atomics only: safe between processes.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>

namespace forkecho::tests {

/// Names the file.
inline constexpr char step_board_variable[] = "FORKECHO_TEST_STEP_BOARD";

enum class StepAction : int {
  pass,
  kill_self,
  kill_parent,
  kill_supervisor,
  delay,           // `argument` microseconds
  hold,            // until `argument` is 0
  scribble,        // byte `argument` over all shared memory that can be written
  crash,           // a wild write
  exhaust_memory,  // as much as the system gives, at most 512 MiB
  stop_self,
  stop_group,
  flood_log,  // `argument` lines
};

struct StepOrder {
  std::array<char, 48> step;  // empty: any
  std::atomic<StepAction> action;
  std::atomic<int> argument;
  std::atomic<int> skip;       // so many times nothing happens first
  std::atomic<int> left;       // and then it happens so many times
  std::atomic<unsigned> done;  // it has, over all processes
  std::atomic<pid_t> last;     // who came to it last, and is held, has gone on or is dead
};

struct StepBoard {
  std::array<StepOrder, 4> orders;
  std::atomic<pid_t> supervisor;
};

}  // namespace forkecho::tests
