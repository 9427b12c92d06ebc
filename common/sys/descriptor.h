// Descriptor: one owner for one file descriptor, closed at the end of its scope.
//
// A descriptor is of one process: after a fork both sides own a copy, and each closes its own.
// A child that leaves by _exit closes nothing itself; the kernel does.
// Not safe for use by two threads at once.
#pragma once

#include <unistd.h>

#include <utility>

namespace forkecho::sys {

class Descriptor {
 public:
  Descriptor() = default;
  /// Takes ownership of `fd`; -1 is "none".
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Gives ownership away without closing.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  /// Closes what it owns (errors of close are not recoverable and are ignored), then owns `fd`.
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace forkecho::sys
