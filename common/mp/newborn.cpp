#include "common/mp/newborn.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "common/mp/current_process.h"
#include "common/mp/fork.h"
#include "common/mp/output.h"
#include "common/mp/remote_error.h"
#include "common/mp/step.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::mp {
namespace {

// System calls inline: see raw_syscall.h for what a wrapper's first use in a new process costs.
[[gnu::hot]] bool stdin_is_null_device() {
  struct statx status {};
  const char no_path =
      '\0';  // on the stack: a literal lies in a page that the child would have to load
  const long result =
      sys::raw_syscall(SYS_statx, STDIN_FILENO, &no_path, AT_EMPTY_PATH, STATX_TYPE, &status);
  return result == 0 && S_ISCHR(status.stx_mode) && status.stx_rdev_major == 1 &&
         status.stx_rdev_minor == 3;  // on every Linux
}

[[gnu::hot]] void read_nothing_from_stdin() {
  forget_inherited_input();
  if (stdin_is_null_device()) return;
  sys::raw_syscall(SYS_close, STDIN_FILENO);
  // The lowest number that is free is standard input's.
  if (sys::raw_syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY) == STDIN_FILENO) return;
  int ends[2];
  if (pipe(ends) == 0) close(ends[1]);  // no /dev in this root: what nobody writes to is as empty
}

}  // namespace

[[gnu::hot]] void prepare_newborn(const Newborn& newborn) {
  FORKECHO_MP_STEP("process.child.born");
  if (newborn.lifeline != nullptr) {
    newborn.lifeline->bind();
  } else if (newborn.daemon) {
    die_with_parent(newborn.parent);
  }
  if (!newborn.keeps_signals_blocked) accept_signals();
  if (!newborn.keeps_stdin) read_nothing_from_stdin();
  if (newborn.inherits_output) forget_inherited_output();
  FORKECHO_MP_STEP("process.child.ready");
}

void tell_current_exception() noexcept {
  try {
    const RemoteError error = RemoteError::of_current_exception();
    std::fprintf(stderr, "%s: %s\n", current_process().name().c_str(), error.what());
  } catch (...) {  // NOLINT(bugprone-empty-catch): the exit code tells of it still
  }
}

}  // namespace forkecho::mp
