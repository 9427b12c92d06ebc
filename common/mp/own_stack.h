// Whether children begin on a stack of their own (fork_onto.h): where that has been written for the
// machine, and no sanitizer wants to know of every stack. For fork_onto.cpp and lean_parent.cpp.
#pragma once

namespace forkecho::mp {

#if defined(__x86_64__) && defined(__LP64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define FORKECHO_OWN_STACK 1
inline constexpr bool has_own_stack = true;
#else
inline constexpr bool has_own_stack = false;
#endif

}  // namespace forkecho::mp
