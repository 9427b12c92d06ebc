// LineFile: a file, pipe, terminal or socket to which lines are appended, each by one system call
// that does not wait: the log's and the access log's output. What cannot be written at once (a full
// disk, a pipe that nobody reads) is lost, and the caller is told; the program goes on.
//
// Lines of several processes on one regular file never mix (O_APPEND). A line that was cut short by
// a full disk is ended before the next one of the same process. SIGPIPE is the program's to ignore.
// Inherited over fork; not for threads.
#pragma once

#include <string>
#include <string_view>

#include "common/sys/descriptor.h"

namespace forkecho::log {

class LineFile {
 public:
  /// Standard error.
  LineFile();
  /// Opens `path` for appending, creates it (mode 0640). Throws std::system_error, which names
  /// `what` ("log file").
  LineFile(const std::string& path, const std::string& what);

  /// A descriptor that another owns, and that does not wait.
  static LineFile borrowed(int descriptor);

  /// Lines go to `path` from now on, under the number that the old file had, which is closed.
  /// Throws std::system_error, and then nothing has changed. For what has been opened by a path.
  void reopen(const std::string& path, const std::string& what);
  /// Standard error gets a description of its own that does not wait; the old one is shared with
  /// whoever started us. Where that is refused (another user's pipe), each write looks before.
  void avoid_waiting();

  /// Writes `line`, which ends with a newline. False, with errno, when it is lost, wholly or in
  /// part.
  bool write(std::string_view line);
  int descriptor() const { return file_ ? file_.get() : borrowed_; }

 private:
  enum class Kind { file, socket, stream };

  void find_kind();
  long write_once(std::string_view data) const;

  sys::Descriptor file_;
  int borrowed_ = 2;  // standard error
  Kind kind_ = Kind::file;
  bool cut_ = false;  // the last line has no end
};

}  // namespace forkecho::log
