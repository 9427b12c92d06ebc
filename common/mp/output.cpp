#include "common/mp/output.h"

#include <stdio_ext.h>

#include <cstdio>

#if defined(__GLIBC__) && defined(__has_attribute)
#if __has_attribute(nodirect_extern_access)
#define FORKECHO_KNOWS_STREAMS
// Every open stream, the newest first. Without the attribute a program that is not position
// independent would look at a copy of its own, made when it was loaded.
extern "C" FILE* _IO_list_all __attribute__((weak, nodirect_extern_access));  // NOLINT
#endif
#endif

namespace forkecho::mp {
namespace {

/// The question that fflush(nullptr) begins with, asked without its locks: to take one, and to come
/// to it, costs a child three pages that it touches for nothing else. True when it cannot be known.
[[gnu::hot]] bool something_is_buffered() {
#ifdef FORKECHO_KNOWS_STREAMS
  if (&_IO_list_all == nullptr) return true;
  for (const FILE* stream = _IO_list_all; stream != nullptr; stream = stream->_chain) {
    const bool is_wide = stream->_mode > 0;
    if (is_wide || stream->_IO_write_ptr > stream->_IO_write_base) return true;
  }
  return false;
#else
  return true;
#endif
}

}  // namespace

[[gnu::hot]] bool flush_output() {
  if (something_is_buffered() && std::fflush(nullptr) != 0) return false;
  return ferror_unlocked(stdout) == 0;
}

void forget_inherited_output() {
  __fpurge(stdout);
  __fpurge(stderr);
  std::clearerr(stdout);
}

}  // namespace forkecho::mp
