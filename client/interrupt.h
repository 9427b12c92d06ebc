// InterruptWatch: SIGINT and SIGTERM as something to poll for, while it lives. Children forked
// meanwhile ignore SIGINT, so that a Ctrl-C at the terminal, which goes to the whole group, reaches
// the parent alone. One at a time; a process of one thread.
#pragma once

#include <csignal>

#include "common/sys/descriptor.h"

namespace forkecho::client {

class InterruptWatch {
 public:
  InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;
  ~InterruptWatch();

  /// Polls readable when a signal came.
  int descriptor() const { return signals_.get(); }
  /// To be called when it is readable: from now on a signal has its usual effect again.
  void take();

 private:
  void restore();

  sigset_t mask_before_{};
  struct sigaction interrupt_before_ {};
  sys::Descriptor signals_;
  bool watching_ = true;
};

}  // namespace forkecho::client
