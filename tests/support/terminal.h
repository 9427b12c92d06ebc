// Terminal: a pseudo-terminal with a test at its keyboard and screen, for programs that behave
// otherwise when a person uses them.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "tests/support/program.h"

namespace forkecho::tests {

/// The keyboard and screen of a person.
class Terminal {
 public:
  Terminal() {
    int ends[2];
    sys::check_syscall(openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr), "openpty");
    keyboard_.reset(ends[0]);
    program_side_.reset(ends[1]);
    for (const int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
  }
  /// Runs a program on it, whose standard error stays a file.
  ProgramOptions options() const {
    const int tty = program_side_.get();
    return {.input = {},
            .before_exec =
                [tty] {
                  sys::check_syscall(ioctl(tty, TIOCSCTTY, 0), "TIOCSCTTY");
                  for (const int standard : {STDIN_FILENO, STDOUT_FILENO})
                    sys::check_syscall(dup2(tty, standard), "dup2");
                },
            .own_session = true};
  }
  /// What the program is told of the terminal's size.
  void set_size(unsigned short rows, unsigned short columns) {
    const winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    sys::check_syscall(ioctl(keyboard_.get(), TIOCSWINSZ, &size), "TIOCSWINSZ");
  }
  void type(std::string_view keys) {
    ASSERT_EQ(write(keyboard_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  /// Reads the screen until `awaited` has appeared on it, and returns what did; all of it is gone
  /// from the screen then.
  std::string read_until(const std::string& awaited) {
    std::string seen;
    while (seen.find(awaited) == std::string::npos && readable(keyboard_.get())) {
      char chunk[4096];
      const ssize_t length = read(keyboard_.get(), chunk, sizeof chunk);
      if (length <= 0) break;
      seen.append(chunk, static_cast<std::size_t>(length));
    }
    return seen;
  }

 private:
  sys::Descriptor keyboard_;
  sys::Descriptor program_side_;
};

}  // namespace forkecho::tests
