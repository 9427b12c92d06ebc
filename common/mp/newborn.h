// What a child that was started as a Process does around its target: its side of
// Process::start.
//
// In the child alone, right after the fork.
#pragma once

#include <sys/types.h>

#include "common/mp/lifeline.h"

namespace forkecho::mp {

/// How a child begins its life.
struct Newborn {
  pid_t parent;
  bool daemon;
  bool keeps_stdin;
  bool keeps_signals_blocked;
  bool inherits_output;  // the parent could not write what it had buffered
  bool runs_target;      // as Process::run does, and no subclass instead
  Lifeline* lifeline;    // nullptr: a daemon's parent is its first thread
};

/// Binds a daemon to its parent's life, and lets signals in, gives the child its own empty standard
/// input, and none of its parent's unwritten output.
void prepare_newborn(const Newborn& newborn);

/// To stderr: the child's name, and type and text of the exception that left its target; nothing
/// when there is no memory left to say it with. In a catch block.
void tell_current_exception() noexcept;

}  // namespace forkecho::mp
