// What makes forkechod_with_steps obey a test's StepBoard. Linked into that program alone.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

#include "common/mp/step.h"
#include "tests/support/step_board.h"

namespace forkecho::tests {
namespace {

StepBoard* board = nullptr;

// Nothing here allocates: a child of the acceptor has no heap (common/mp/lean_parent.h).

/// The next line of `fd`, without its end, cut where it does not fit; false at the end.
bool read_line(int fd, std::span<char> line) {
  std::size_t length = 0;
  char next = 0;
  while (read(fd, &next, 1) == 1) {
    if (next == '\n') {
      line[length] = '\0';
      return true;
    }
    if (length + 1 < line.size()) line[length++] = next;
  }
  return false;
}

/// All mappings that are shared and can be written, but the board itself.
void scribble(int byte) {
  const int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return;
  std::array<char, 512> line;
  while (read_line(maps, line)) {
    char* at = nullptr;
    const std::uintptr_t begin = std::strtoul(line.data(), &at, 16);
    const std::uintptr_t end = std::strtoul(at + 1, &at, 16);
    if (std::strncmp(at + 1, "rw-s", 4) != 0 || begin == reinterpret_cast<std::uintptr_t>(board))
      continue;
    std::memset(reinterpret_cast<void*>(begin), byte, end - begin);
  }
  close(maps);
}

void exhaust_memory() {
  constexpr std::size_t most = 512 << 20;
  constexpr std::size_t block = 1 << 20;
  const rlimit limit{.rlim_cur = most, .rlim_max = most};
  setrlimit(RLIMIT_AS, &limit);
  for (;;) {
    void* const more =
        mmap(nullptr, block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (more == MAP_FAILED) std::abort();
    std::memset(more, 1, block);
  }
}

void flood_log(int lines) {
  const std::string_view line = "a child that has gone wrong says this again and again and again\n";
  for (int i = 0; i < lines; ++i) {
    if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
  }
}

/// `parent`: as it was when the order was taken.
void act(StepOrder& order, pid_t parent) {
  switch (order.action) {
    case StepAction::pass:
      break;
    case StepAction::kill_self:
      kill(getpid(), SIGKILL);
      for (;;) pause();
    case StepAction::kill_parent:
      kill(parent, SIGKILL);
      break;
    case StepAction::kill_supervisor:
      kill(board->supervisor, SIGKILL);
      break;
    case StepAction::delay:
      usleep(static_cast<useconds_t>(order.argument.load()));
      break;
    case StepAction::hold:
      while (order.argument != 0) usleep(200);
      break;
    case StepAction::scribble:
      scribble(order.argument);
      break;
    case StepAction::crash:
      *reinterpret_cast<volatile int*>(order.argument.load() + 8L) = 1;
      break;
    case StepAction::exhaust_memory:
      exhaust_memory();
      break;
    case StepAction::stop_self:
      kill(getpid(), SIGSTOP);
      break;
    case StepAction::stop_group:
      kill(0, SIGSTOP);
      break;
    case StepAction::flood_log:
      flood_log(order.argument);
      break;
  }
}

bool is_for(const StepOrder& order, const char* step) {
  return order.step[0] == '\0' || std::strcmp(order.step.data(), step) == 0;
}

/// Takes one from a count that several processes take from.
bool take_one(std::atomic<int>& count) {
  int seen = count;
  while (seen > 0) {
    if (count.compare_exchange_weak(seen, seen - 1)) return true;
  }
  return false;
}

void obey(const char* step) {
  for (StepOrder& order : board->orders) {
    if (order.left <= 0 || !is_for(order, step)) continue;
    // Whom a killed acceptor left is the supervisor's child now; it is not meant.
    const pid_t parent = getppid();
    if (order.action == StepAction::kill_parent && parent == board->supervisor) continue;
    if (take_one(order.skip) || !take_one(order.left)) continue;
    order.last = getpid();
    order.done.fetch_add(1);
    act(order, parent);
  }
}

/// Before main.
[[maybe_unused]] const bool obeying = [] {
  const char* const path = std::getenv(step_board_variable);
  if (path == nullptr) return false;
  const int file = open(path, O_RDWR | O_CLOEXEC);
  void* const mapping =
      mmap(nullptr, sizeof(StepBoard), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapping == MAP_FAILED) std::abort();
  board = static_cast<StepBoard*>(mapping);
  board->supervisor = getpid();
  mp::step_observer = obey;
  return true;
}();

}  // namespace
}  // namespace forkecho::tests
