// LogRelay: how the lines of the processes below reach a log file: through a pipe, whose other end
// the supervisor reads; it alone has the file open. (Logs on standard error need none of this:
// everyone writes there.)
//
// 2026-11-21. Chosen because the supervisor can then open the file anew by itself, and the old one
// is free at that moment, however long the processes below live, whatever they are confined to
// (they may not open files, and may have another root), and without a word to any of them.
// Rejected: to send each process the new descriptor, since a child that serves a connection blocks
// in its read and would need a handler, a channel and system calls of its own; and to let a new
// generation of processes take the new file, since the old file would then be free only when the
// last old connection ends. A connection that logs nothing costs nothing, and lines that come
// together are written together.
//
// A line is one write(2) of at most PIPE_BUF bytes, which is atomic, so that lines of several
// processes never mix and a kill loses no half line. The pipe never blocks a writer: with its room
// (1 MiB where the system allows, some ten thousand lines) used up by a supervisor that does not
// run, a line is dropped and counted by its writer (log.h). The supervisor passes on what it reads
// as it is: it is text for people, and nothing depends on it; each turn of the supervisor's loop
// moves a bounded amount.
//
// For the log, and for any other file that processes below write lines to. Lives in the
// supervisor's io_context; not for threads.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "common/sys/descriptor.h"

namespace forkecho::server {

class LogRelay {
 public:
  /// Takes whole lines, each with its end; as many as have come.
  using Append = std::function<void(std::string_view lines)>;
  /// Throws std::system_error (EMFILE).
  LogRelay(asio::io_context& context, Append append);
  LogRelay(const LogRelay&) = delete;
  LogRelay& operator=(const LogRelay&) = delete;

  /// What those below write to. Does not block (O_NONBLOCK), close-on-exec.
  int writer() const { return writer_.get(); }
  /// Passes on all that was written until now: before a file changes, and at the end.
  void pass_on_all();

 private:
  void wait();
  /// False when there was nothing.
  bool pass_on();

  asio::posix::stream_descriptor reader_;
  sys::Descriptor writer_;
  Append append_;
  std::string begun_;  // a line whose end has not come; only a process gone wrong writes such
};

}  // namespace forkecho::server
