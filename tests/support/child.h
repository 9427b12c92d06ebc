// Children for tests of what lies below mp::Process, and the events that tests wait for instead of
// sleeping.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "common/mp/fork.h"
#include "common/mp/orphans.h"
#include "common/mp/reap.h"
#include "common/sys/check_syscall.h"
#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::tests {

/// What no test should need, even on a machine that does much else: for waits that must succeed.
inline sys::Deadline patience() {
  return sys::Deadline::after(std::chrono::seconds(20));
}

/// True once `descriptor` polls readable or at end of file; false when the deadline passed first.
inline bool readable(int descriptor, sys::Deadline deadline = patience()) {
  pollfd entry{.fd = descriptor, .events = POLLIN, .revents = 0};
  return sys::check_syscall(
             sys::retry_on_interrupt([&] { return poll(&entry, 1, deadline.poll_timeout_ms()); }),
             "poll") == 1;
}

/// An event between processes: made before the fork, opened once, passed by everyone.
class Gate {
 public:
  Gate() : event_(sys::check_syscall(eventfd(0, EFD_CLOEXEC), "eventfd")) {}
  void open() { sys::check_syscall(eventfd_write(event_.get(), 1), "eventfd_write"); }
  /// True once the gate is open.
  bool pass(sys::Deadline deadline = patience()) const { return readable(event_.get(), deadline); }

 private:
  sys::Descriptor event_;
};

/// Two ends of a pipe. When the last copy of `write` is closed, `read` is at its end: a process
/// that alone holds `write` shows so that it is gone.
struct Pipe {
  Pipe() {
    int ends[2];
    sys::check_syscall(pipe2(ends, O_CLOEXEC), "pipe2");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  sys::Descriptor read;
  sys::Descriptor write;
};

/// Starts a child that leaves with the number that `body` returns. Its signals are blocked still,
/// as fork_process leaves them.
template <typename Body>
pid_t start_blocked_child(Body body) {
  const pid_t pid = sys::check_syscall(mp::fork_process(), "fork");
  if (pid == 0) _exit(body());
  return pid;
}

/// The same with every signal at its default action; it cannot outlive a failed test by long.
template <typename Body>
pid_t start_child(Body body) {
  return start_blocked_child([&] {
    mp::reset_signal_handlers();
    mp::accept_signals();
    alarm(60);
    return body();
  });
}

/// The exit code of child `pid` when it ends in good time; empty otherwise.
inline std::optional<int> exitcode_of(pid_t pid) {
  const auto exit = mp::reap_before(pid, patience());
  return exit ? std::optional(exit->exitcode) : std::nullopt;
}

/// The exit code of a child that runs `body`.
template <typename Body>
std::optional<int> exitcode_in_child(Body body) {
  return exitcode_of(start_child(body));
}

/// For a scope, orphaned descendants become children of this process instead of init's.
class AdoptOrphans {
 public:
  AdoptOrphans() { mp::adopt_orphans(); }
  AdoptOrphans(const AdoptOrphans&) = delete;
  AdoptOrphans& operator=(const AdoptOrphans&) = delete;
  ~AdoptOrphans() { mp::adopt_orphans(false); }
};

}  // namespace forkecho::tests
