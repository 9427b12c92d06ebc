#include "server/status_watch.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "common/sys/check_syscall.h"
#include "server/control_socket.h"
#include "server/exit_code.h"
#include "server/status_table.h"

namespace forkecho::server {
namespace {

using nlohmann::ordered_json;

constexpr auto answer_time = std::chrono::seconds(10);

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    sys::throw_errno(errno, "cannot write standard output");
}

/// INT and its like end the watch between two refreshes, and not in the middle of a line.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, number);
    sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;
  ~EndSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  /// True when one came before `deadline`.
  bool come_before(sys::Deadline deadline) const {
    const auto left = deadline.remaining();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec time{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
    return sys::retry_on_interrupt([&] { return sigtimedwait(&set_, nullptr, &time); }) > 0;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

/// The screen of a terminal, redrawn in place: nothing flickers, and what was there before scrolls
/// away once.
class Screen {
 public:
  Screen() : is_terminal_(isatty(STDOUT_FILENO) == 1) {
    if (is_terminal_) print(hide_cursor);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() {
    if (!is_terminal_) return;
    std::fputs(show_cursor.data(), stdout);
    std::fflush(stdout);
  }

  void show(const std::string& block) {
    print(is_terminal_ ? drawn(block) : first_ ? block : "\n" + block);
    first_ = false;
  }

 private:
  // ECMA-48.
  static constexpr std::string_view hide_cursor = "\x1b[?25l";
  static constexpr std::string_view show_cursor = "\x1b[?25h";
  static constexpr std::string_view clear_screen = "\x1b[2J\x1b[H";
  static constexpr std::string_view to_top = "\x1b[H";
  static constexpr std::string_view clear_to_end_of_line = "\x1b[K";
  static constexpr std::string_view clear_below = "\x1b[J";

  std::string drawn(const std::string& block) const {
    std::string drawn(first_ ? clear_screen : to_top);
    for (const char c : cut_to_rows(block, rows())) {
      if (c == '\n') drawn += clear_to_end_of_line;
      drawn += c;
    }
    return drawn.append(clear_below);
  }

  /// One less than there are: the last newline takes a row. 0: the terminal does not say.
  static std::size_t rows() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 2) return 0;
    return size.ws_row - 1U;
  }

  const bool is_terminal_;
  bool first_ = true;
};

std::string ask(const WatchOptions& options) {
  return ControlClient(options.control).ask("status", sys::Deadline::after(answer_time));
}

std::string block_of(const ordered_json& status, const std::optional<ordered_json>& before) {
  std::string block = to_table(status);
  const std::string rates = before ? rates_line(*before, status) : "";
  return block.insert(block.find('\n') + 1, rates.empty() ? "" : rates + "\n");
}

}  // namespace

void watch_status(const WatchOptions& options) {
  std::string answer = ask(options);  // without a daemon this is the end
  const EndSignals end_signals;
  Screen screen;
  std::optional<ordered_json> before;
  for (;;) {
    const auto begun = sys::Clock::now();
    if (options.json) {
      print(answer);
    } else {
      ordered_json status = ordered_json::parse(answer);
      screen.show(block_of(status, before));
      before = std::move(status);
    }
    if (end_signals.come_before(sys::Deadline::at(begun + options.every))) return;
    try {
      answer = ask(options);
    } catch (const FatalError&) {
      if (!options.json) print("\nthe daemon has ended\n");
      return;
    }
  }
}

}  // namespace forkecho::server
