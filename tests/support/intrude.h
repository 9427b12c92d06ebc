// Makes another process call the system: a stand-in for whoever has taken it over. What it did is
// left in the middle (interrupted), and it goes on, or ends, with the call's result.
//
// For x86-64, and for those who may trace the process.
#pragma once

#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>

#include "common/sys/check_syscall.h"

namespace forkecho::tests {

#ifdef __x86_64__

inline constexpr bool can_intrude = true;

/// `pid` waits in a system call, and makes the call `number` in its place. Throws
/// std::system_error.
inline void make_call(pid_t pid, long number, unsigned long first = 0, unsigned long second = 0,
                      unsigned long third = 0) {
  sys::check_syscall(ptrace(PTRACE_ATTACH, pid, nullptr, nullptr), "PTRACE_ATTACH");
  sys::check_syscall(sys::retry_on_interrupt([&] { return waitpid(pid, nullptr, __WALL); }),
                     "waitpid");
  user_regs_struct registers{};
  sys::check_syscall(ptrace(PTRACE_GETREGS, pid, nullptr, &registers), "PTRACE_GETREGS");
  constexpr unsigned long length_of_instruction = 2;
  registers.rip -= length_of_instruction;  // it is behind its own
  registers.orig_rax = ~0UL;               // and does not start it again
  registers.rax = static_cast<unsigned long>(number);
  registers.rdi = first;
  registers.rsi = second;
  registers.rdx = third;
  registers.r10 = registers.r8 = registers.r9 = 0;
  sys::check_syscall(ptrace(PTRACE_SETREGS, pid, nullptr, &registers), "PTRACE_SETREGS");
  sys::check_syscall(ptrace(PTRACE_DETACH, pid, nullptr, nullptr), "PTRACE_DETACH");
}

#else

inline constexpr bool can_intrude = false;
inline void make_call(pid_t, long, unsigned long = 0, unsigned long = 0, unsigned long = 0) {}

#endif

}  // namespace forkecho::tests
