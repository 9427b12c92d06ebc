#include "common/mp/output.h"

#include <stdio_ext.h>
#include <sys/single_threaded.h>

#include <cstdio>

#if defined(__GLIBC__) && defined(__x86_64__)
extern "C" {
[[gnu::weak]] void lock_list_of_streams() asm("_IO_list_lock");
[[gnu::weak]] void unlock_list_of_streams() asm("_IO_list_unlock");
}
#endif

namespace forkecho::mp {
namespace {

#if defined(__GLIBC__) && defined(__x86_64__)
asm(".weak _IO_list_all");

/// For a scope no other thread opens or closes a stream. As in fflush(nullptr) and fork.
class StreamsGuard {
 public:
  StreamsGuard() { lock_list_of_streams(); }
  StreamsGuard(const StreamsGuard&) = delete;
  StreamsGuard& operator=(const StreamsGuard&) = delete;
  ~StreamsGuard() { unlock_list_of_streams(); }
};

/// Where the C library keeps its list of open streams, the newest first; nullptr when it does not
/// say. Looked up by hand: to a name in C++, a program that is not position independent would get a
/// copy of its own, made when it was loaded.
FILE* const* list_of_streams() {
  FILE* const* list;
  asm("movq _IO_list_all@GOTPCREL(%%rip), %0" : "=r"(list));
  return list;
}

/// To flush one that was read would take back what was read ahead.
bool may_have_output(FILE& stream) {
  const bool is_wide = stream._mode > 0;
  return is_wide ? __fwriting(&stream) != 0 : stream._IO_write_ptr > stream._IO_write_base;
}

/// The question that fflush(nullptr) begins with, asked without its locks: to take one, and to come
/// to it, costs a child three pages that it touches for nothing else. True when it cannot be known.
[[gnu::hot]] bool something_is_buffered() {
  FILE* const* const list = list_of_streams();
  if (list == nullptr) return true;
  for (FILE* stream = *list; stream != nullptr; stream = stream->_chain) {
    if (may_have_output(*stream)) return true;
  }
  return false;
}

bool flush_alone() {
  return !something_is_buffered() || std::fflush(nullptr) == 0;
}

/// Not fflush(nullptr), which takes the lock of every stream: a thread that waits for a line on
/// stdin has that one until the line comes.
bool flush_among_threads() {
  FILE* const* const list = list_of_streams();
  if (list == nullptr || lock_list_of_streams == nullptr || unlock_list_of_streams == nullptr)
    return std::fflush(nullptr) == 0;
  const StreamsGuard guard;
  bool written = true;
  for (FILE* stream = *list; stream != nullptr; stream = stream->_chain) {
    if (may_have_output(*stream) && std::fflush(stream) != 0) written = false;
  }
  return written;
}

[[gnu::hot]] bool something_is_read_ahead() {
  const bool is_wide = stdin->_mode > 0;
  return is_wide || stdin->_IO_read_ptr < stdin->_IO_read_end;
}
#else
bool flush_alone() {
  return std::fflush(nullptr) == 0;
}

bool flush_among_threads() {
  return flush_alone();
}

bool something_is_read_ahead() {
  return true;
}
#endif

}  // namespace

[[gnu::hot]] bool flush_output() {
  const bool written = __libc_single_threaded ? flush_alone() : flush_among_threads();
  return written && ferror_unlocked(stdout) == 0;
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
