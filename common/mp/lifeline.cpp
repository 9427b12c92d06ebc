#include "common/mp/lifeline.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "common/mp/fork.h"
#include "common/mp/step.h"
#include "common/sys/above_standard.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp {

Lifeline::Lifeline() {
  int ends[2];
  sys::check_syscall(pipe2(ends, O_CLOEXEC), "pipe2");
  // Owned at once, and moved then: the move may fail.
  reading_.reset(ends[0]);
  writing_.reset(ends[1]);
  reading_ = sys::above_standard(reading_.release());
  writing_ = sys::above_standard(writing_.release());
}

sys::Descriptor Lifeline::hold() {
  reading_.reset();
  return std::move(writing_);
}

void Lifeline::bind() {
  writing_.reset();
  const int end = bound_ = reading_.release();  // for the process's whole life
  sys::check_syscall(fcntl(end, F_SETFD, 0), "fcntl(F_SETFD)");
  sys::check_syscall(fcntl(end, F_SETOWN, getpid()), "fcntl(F_SETOWN)");
  sys::check_syscall(fcntl(end, F_SETSIG, SIGKILL), "fcntl(F_SETSIG)");
  sys::check_syscall(fcntl(end, F_SETFL, O_ASYNC), "fcntl(F_SETFL)");
  FORKECHO_MP_STEP("process.child.bound");
  pollfd entry{.fd = end, .events = POLLIN, .revents = 0};
  const int ready =
      sys::check_syscall(sys::retry_on_interrupt([&] { return poll(&entry, 1, 0); }), "poll");
  if (ready != 0) _exit(orphaned);
}

}  // namespace forkecho::mp
