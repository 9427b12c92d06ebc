#include "common/mp/output.h"

#include <stdio_ext.h>

#include <cstdio>

namespace forkecho::mp {
namespace {

#if defined(__GLIBC__) && defined(__x86_64__)
asm(".weak _IO_list_all");

/// Where the C library keeps its list of open streams, the newest first; nullptr when it does not
/// say. Looked up by hand: to a name in C++, a program that is not position independent would get a
/// copy of its own, made when it was loaded.
FILE* const* list_of_streams() {
  FILE* const* list;
  asm("movq _IO_list_all@GOTPCREL(%%rip), %0" : "=r"(list));
  return list;
}

/// The question that fflush(nullptr) begins with, asked without its locks: to take one, and to come
/// to it, costs a child three pages that it touches for nothing else. True when it cannot be known.
[[gnu::hot]] bool something_is_buffered() {
  FILE* const* const list = list_of_streams();
  if (list == nullptr) return true;
  for (const FILE* stream = *list; stream != nullptr; stream = stream->_chain) {
    const bool is_wide = stream->_mode > 0;
    if (is_wide || stream->_IO_write_ptr > stream->_IO_write_base) return true;
  }
  return false;
}

[[gnu::hot]] bool something_is_read_ahead() {
  const bool is_wide = stdin->_mode > 0;
  return is_wide || stdin->_IO_read_ptr < stdin->_IO_read_end;
}
#else
bool something_is_buffered() {
  return true;
}

bool something_is_read_ahead() {
  return true;
}
#endif

}  // namespace

[[gnu::hot]] bool flush_output() {
  if (something_is_buffered() && std::fflush(nullptr) != 0) return false;
  return ferror_unlocked(stdout) == 0;
}

[[gnu::hot]] void forget_inherited_input() {
  if (!something_is_read_ahead() && feof_unlocked(stdin) == 0) return;
  __fpurge(stdin);
  clearerr_unlocked(stdin);
}

void forget_inherited_output() {
  __fpurge(stdout);
  __fpurge(stderr);
  std::clearerr(stdout);
}

}  // namespace forkecho::mp
