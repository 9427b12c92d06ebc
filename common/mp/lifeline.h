// Lifeline: ends a child when its parent process ends, whichever of the parent's threads started
// it. Used for daemon children that are started by a thread other than the first: the kernel's own
// means (PR_SET_PDEATHSIG, fork.h) speaks of the thread that forked, and would end them with that
// thread.
//
// It is a pipe whose writing end the parent holds and never writes to. The child asks the kernel to
// send it SIGKILL as soon as something happens on the reading end: the only thing that can happen
// is that the last writing end is closed. Children that are forked by fork_process close their
// copies of other children's lifelines; programs that the parent executes have none
// (close-on-exec). A child that some other library forks and that does not execute a program
// prolongs the life of its parent's daemons to its own.
#pragma once

#include "common/sys/descriptor.h"

namespace forkecho::mp {

class Lifeline {
 public:
  /// Before the fork. Throws std::system_error (EMFILE).
  Lifeline();
  /// In the parent: the end to hold for as long as the child may live.
  sys::Descriptor hold();
  /// In the child: from here on it dies with its parent, also after an exec and with every signal
  /// blocked. Leaves at once with exit code `orphaned` (fork.h) when the parent has ended already.
  void bind();
  /// The descriptor by which the calling process is bound; -1 when it is not. To close it is to be
  /// bound no longer.
  static int of_this_process() { return bound_; }

 private:
  static inline int bound_ = -1;
  sys::Descriptor reading_;
  sys::Descriptor writing_;
};

}  // namespace forkecho::mp
