#include "common/log/line_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/sys/check_syscall.h"

namespace forkecho::log {

LineFile::LineFile() {
  find_kind();
}

LineFile::LineFile(const std::string& path, const std::string& what)
    : file_(sys::check_syscall(
          // O_NONBLOCK: a named pipe without a reader is an error and not an endless wait.
          ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                 0640),
          "cannot open the " + what + " '" + path + "'")) {
  find_kind();
}

void LineFile::find_kind() {
  struct stat status {};
  if (fstat(descriptor(), &status) != 0) return;
  kind_ = S_ISSOCK(status.st_mode)                              ? Kind::socket
          : S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode) ? Kind::stream
                                                                : Kind::file;
}

bool LineFile::write(std::string_view line) {
  if (cut_) {
    if (write_once("\n") != 1) return false;
    cut_ = false;
  }
  const long written = write_once(line);
  if (written == static_cast<long>(line.size())) return true;
  cut_ = written > 0;
  if (written >= 0) errno = ENOSPC;
  return false;
}

long LineFile::write_once(std::string_view data) const {
  return sys::retry_on_interrupt([&]() -> ssize_t {
    if (kind_ == Kind::socket)
      return send(descriptor(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (kind_ == Kind::stream) {
      // O_NONBLOCK would not leave another writer the time to take the room in between; but it is a
      // property of what our parent has opened, too, and may not be set on standard error.
      pollfd entry{.fd = descriptor(), .events = POLLOUT, .revents = 0};
      if (poll(&entry, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
      }
    }
    return ::write(descriptor(), data.data(), data.size());
  });
}

}  // namespace forkecho::log
