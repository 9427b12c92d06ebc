// Whether children begin on a stack of their own (fork_onto.h): where that has been written for the
// machine, and no sanitizer wants to know of every stack. For fork_onto.cpp and lean_parent.cpp.
#pragma once

namespace forkecho::mp {

// GCC's way to say that there is a sanitizer, and Clang's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FORKECHO_SANITIZED_STACK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FORKECHO_SANITIZED_STACK 1
#endif
#endif

#if defined(__x86_64__) && defined(__LP64__) && !defined(FORKECHO_SANITIZED_STACK)
#define FORKECHO_OWN_STACK 1
inline constexpr bool has_own_stack = true;
#else
inline constexpr bool has_own_stack = false;
#endif

}  // namespace forkecho::mp
