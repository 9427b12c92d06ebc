#include "server/pid_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "server/exit_code.h"

namespace forkecho::server {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw FatalError(ExitCode::system, what + ": " + std::strerror(errno));
}

std::string content_of(int fd) {
  std::array<char, 32> text{};
  const ssize_t length = pread(fd, text.data(), text.size() - 1, 0);
  return std::to_string(length > 0 ? std::atol(text.data()) : 0);
}

bool is_file_at(const std::string& path, int fd) {
  struct stat named {};
  struct stat held {};
  return stat(path.c_str(), &named) == 0 && fstat(fd, &held) == 0 && named.st_dev == held.st_dev &&
         named.st_ino == held.st_ino;
}

}  // namespace

PidFile::PidFile(std::string path) : path_(std::move(path)) {
  acquire();
}

void PidFile::acquire() {
  // A daemon that ends may remove the file between our open and our lock: then we hold a file
  // without a name, and the next daemon would not see us.
  do {
    open_and_lock();
  } while (!is_file_at(path_, file_.get()));
  write(getpid());
}

PidFile::PidFile(std::string path, sys::Descriptor locked)
    : path_(std::move(path)), file_(std::move(locked)) {
  if (!is_file_at(path_, file_.get())) acquire();
}

void PidFile::write(pid_t pid) {
  const std::string text = std::to_string(pid) + "\n";
  // The old number is cut off afterwards: at no moment does a reader find the file empty.
  if (pwrite(file_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ftruncate(file_.get(), static_cast<off_t>(text.size())) != 0) {
    fail("cannot write the pid file '" + path_ + "'");
  }
  ours_ = true;
}

void PidFile::leave() {
  ours_ = false;
  file_.reset();
}

void PidFile::open_and_lock() {
  file_.reset(open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file_) fail("cannot open the pid file '" + path_ + "' (choose another --pidfile)");
  if (flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return;
  throw FatalError(ExitCode::unavailable,
                   "a daemon runs already, with pid " + content_of(file_.get()) + " (pid file '" +
                       path_ +
                       "'); stop it with 'forkechod stop', or give this one another --control");
}

PidFile::~PidFile() {
  if (ours_) unlink(path_.c_str());
}

void make_parent_directory(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return;
  const std::string directory = path.substr(0, slash);
  if (mkdir(directory.c_str(), geteuid() == 0 ? 0755 : 0700) != 0 && errno != EEXIST) {
    fail("cannot make the directory '" + directory +
         "' for the control socket and pid file (choose another --control)");
  }
}

}  // namespace forkecho::server
