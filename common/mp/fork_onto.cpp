#include "common/mp/fork_onto.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/mp/own_stack.h"

namespace forkecho::mp {

#ifdef FORKECHO_OWN_STACK

/// The kernel gives the child the caller's registers, but for the stack pointer and the result; so
/// what the function is to be told waits in registers that a system call leaves alone.
[[gnu::hot]] pid_t fork_onto(void* stack_top, ForkedFunction function, ForkedArguments arguments,
                             int exit_signal) {
  register long parent_tid asm("rdx") = 0;
  register long child_tid asm("r10") = 0;
  register long thread_area asm("r8") = 0;
  long result = SYS_clone;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "movq %[function], %%rax\n\t"
      "movq %[self], %%rdi\n\t"
      "movq %[number], %%rsi\n\t"
      "movq %[what], %%rdx\n\t"
      "xorl %%ebp, %%ebp\n\t"  // the outermost frame, to whoever walks the stack
      "callq *%%rax\n\t"
      "ud2\n"
      "1:"
      : "+a"(result)
      : "D"(static_cast<long>(exit_signal)), "S"(stack_top), "r"(parent_tid), "r"(child_tid),
        "r"(thread_area), [function] "r"(function), [self] "r"(arguments.self),
        [number] "r"(arguments.number), [what] "r"(arguments.what)
      : "rcx", "r11", "cc", "memory");
  if (result >= 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
}

#else

pid_t fork_onto(void*, ForkedFunction function, ForkedArguments arguments, int exit_signal) {
#ifdef __s390__
#error "clone has the stack first here; see to it, and to server/system_call_filter.cpp"
#endif
  const long pid =
      syscall(SYS_clone, static_cast<long>(exit_signal), nullptr, nullptr, nullptr, nullptr);
  if (pid != 0) return static_cast<pid_t>(pid);
  function(arguments.self, arguments.number, arguments.what);
  __builtin_unreachable();
}

#endif

}  // namespace forkecho::mp
