#include "server/shortage.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/log/log.h"

namespace forkecho::server {
namespace {

/// Within bounds: a client that sends without end is cut off.
void discard_input(int socket) {
  char buffer[16 * 1024];
  for (int i = 0; i < 64; ++i) {
    if (recv(socket, buffer, sizeof buffer, MSG_DONTWAIT) <= 0) return;
  }
}

}  // namespace

std::string_view remedy_of(int error) {
  switch (error) {
    case EMFILE:
      return "raise ulimit -n";
    case ENFILE:
      return "raise fs.file-max";
    case EAGAIN:
      return "raise ulimit -u, kernel.pid_max, or pids.max of the cgroup";
    case ENOMEM:
    case ENOBUFS:
      return "free memory, or raise ulimit -v or the limit of the cgroup";
    default:
      return "see the limits of the system and of the user";
  }
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM ||
         error == ENOBUFS;
}

void RepeatedWarning::tell(std::string_view what, int error, std::string_view consequence) {
  if (!silent_until_.passed()) {
    ++untold_;
    return;
  }
  silent_until_ = sys::Deadline::after(std::chrono::seconds(1));
  if (untold_ == 0) {
    log::warning("{}: {}; {} ({})", what, std::strerror(error), consequence, remedy_of(error));
  } else {
    log::warning("{}: {}; {} ({}); {} times more since the last line", what, std::strerror(error),
                 consequence, remedy_of(error), untold_);
  }
  untold_ = 0;
}

void Shortage::begin(std::string_view what, int error, std::string_view consequence) {
  lasts_ = true;
  until_ = sys::Deadline::after(pause);
  warning_.tell(what, error, consequence);
}

void Shortage::see_off(AcceptedClient client) {
  close_leaving();
  leaving_ = std::move(client.socket);
  shutdown(leaving_.get(), SHUT_WR);
  discard_input(leaving_.get());
}

void Shortage::end() {
  lasts_ = false;
  close_leaving();
}

void Shortage::close_leaving() {
  if (leaving_) discard_input(leaving_.get());
  leaving_.reset();
}

bool SpareDescriptor::give_up() {
  if (given_up_) return false;
  given_up_ = true;
  close(STDIN_FILENO);
  return true;
}

void SpareDescriptor::take_back() {
  if (!given_up_) return;
  // The lowest number that is free is standard input's, unless somebody has it.
  sys::Descriptor copy(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDIN_FILENO));
  if (copy.get() != STDIN_FILENO) return;
  given_up_ = copy.release() != STDIN_FILENO;
}

}  // namespace forkecho::server
