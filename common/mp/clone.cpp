#include "common/mp/clone.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/single_threaded.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include "common/mp/kernel_action.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::mp {
namespace {

/// Where the C library keeps what a fork must set anew.
struct ThreadWords {
  pid_t* thread_id;
  robust_list_head* robust_mutexes;
};

std::optional<ThreadWords> find_thread_words() {
  ThreadWords found{};
  std::size_t length = 0;
  if (sys::raw_syscall(SYS_prctl, PR_GET_TID_ADDRESS, &found.thread_id) != 0 ||
      sys::raw_syscall(SYS_get_robust_list, 0, &found.robust_mutexes, &length) != 0 ||
      found.thread_id == nullptr || found.robust_mutexes == nullptr ||
      length != sizeof(robust_list_head) ||
      *found.thread_id != static_cast<pid_t>(sys::raw_syscall(SYS_gettid)))
    return std::nullopt;
  return found;
}

bool holds_robust_mutex(const robust_list_head& head) {
  return head.list.next != &head.list || head.list_op_pending != nullptr;
}

/// Handlers of the C library's own, which CLONE_CLEAR_SIGHAND would take from the child.
bool has_internal_handlers() {
  for (const int number : internal_signals) {
    if (action_of(number).handler != SIG_DFL) return true;
  }
  return false;
}

bool is_refusal_of_clone3(int error) {
  return error == ENOSYS || error == EPERM || error == EINVAL;
}

}  // namespace

[[gnu::hot]] std::optional<pid_t> clone_without_handlers() {
  if (!__libc_single_threaded) return std::nullopt;
  const auto words = find_thread_words();
  if (!words || holds_robust_mutex(*words->robust_mutexes) || has_internal_handlers())
    return std::nullopt;
  clone_args arguments{};
  arguments.flags = CLONE_CLEAR_SIGHAND | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  arguments.child_tid = reinterpret_cast<std::uint64_t>(words->thread_id);
  arguments.exit_signal = SIGCHLD;
  const auto pid = static_cast<pid_t>(sys::raw_syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid == 0) {
    sys::raw_syscall(SYS_set_robust_list, words->robust_mutexes, sizeof(robust_list_head));
  } else if (pid < 0 && is_refusal_of_clone3(errno)) {
    return std::nullopt;
  }
  return pid;
}

}  // namespace forkecho::mp
