// A signal's action as the kernel has it (rt_sigaction(2)), asked for without the C library's
// wrapper: see raw_syscall.h for why. For fork.cpp and clone.cpp.
#pragma once

#include <csignal>
#include <cstdint>

#include "common/sys/raw_syscall.h"

namespace forkecho::mp {

struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  std::uint64_t mask;
};

inline constexpr int last_signal = 64;
/// glibc's own, which its sigaction hides: one cancels threads, one changes credentials in all.
inline constexpr int internal_signals[] = {32, 33};

/// Default for a number that has no action to be asked for.
inline KernelAction action_of(int number) {
  KernelAction action{};
  sys::raw_syscall(SYS_rt_sigaction, number, nullptr, &action, sizeof action.mask);
  return action;
}

inline void set_default_action(int number) {
  const KernelAction by_default{};
  sys::raw_syscall(SYS_rt_sigaction, number, &by_default, nullptr, sizeof by_default.mask);
}

}  // namespace forkecho::mp
