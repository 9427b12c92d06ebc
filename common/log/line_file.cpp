#include "common/log/line_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/sys/check_syscall.h"

namespace forkecho::log {
namespace {

sys::Descriptor open_to_append(const std::string& path, const std::string& what) {
  // O_NONBLOCK: a named pipe without a reader is an error and not an endless wait.
  constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  return sys::Descriptor(sys::check_syscall(::open(path.c_str(), flags, 0640),
                                            "cannot open the " + what + " '" + path + "'"));
}

}  // namespace

LineFile::LineFile() {
  find_kind();
}

LineFile::LineFile(const std::string& path, const std::string& what)
    : file_(open_to_append(path, what)) {
  find_kind();
}

LineFile LineFile::borrowed(int descriptor) {
  LineFile file;
  file.borrowed_ = descriptor;
  file.kind_ = Kind::file;
  return file;
}

void LineFile::reopen(const std::string& path, const std::string& what) {
  const sys::Descriptor next = open_to_append(path, what);
  sys::check_syscall(dup3(next.get(), file_.get(), O_CLOEXEC), "dup3");
  cut_ = false;
  find_kind();
}

void LineFile::avoid_waiting() {
  if (file_ || kind_ != Kind::stream) return;
  const std::string self = "/proc/self/fd/" + std::to_string(borrowed_);
  const int own = ::open(self.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own >= 0) file_.reset(own);
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
