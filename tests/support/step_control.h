// StepControl: gives orders to a daemon that was built with steps (step_board.h), and sees them
// done.
//
//   StepControl steps;
//   DaemonUnderTest daemon(steps.options(mode_named("fork")));
//   steps.order({.step = "acceptor.fork.after", .action = StepAction::kill_self});
//   ... EXPECT_TRUE(steps.wait_until_done(1));
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/step_board.h"
#include "tests/support/temp_dir.h"

namespace forkecho::tests {

/// The program; it is beside forkechod.
inline std::string forkechod_with_steps() {
  return forkechod + "_with_steps";
}

class StepControl {
 public:
  struct Order {
    std::string step;
    StepAction action = StepAction::pass;
    int argument = 0;
    int skip = 0;
    int times = 1;
  };

  StepControl() {
    const std::string path = directory_.path("steps");
    const sys::Descriptor file(
        sys::check_syscall(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666), path));
    sys::check_syscall(ftruncate(file.get(), sizeof(StepBoard)), "ftruncate");
    void* const mapping =
        mmap(nullptr, sizeof(StepBoard), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (mapping == MAP_FAILED) sys::throw_errno(errno, "mmap");
    board_ = new (mapping) StepBoard{};
  }
  StepControl(const StepControl&) = delete;
  StepControl& operator=(const StepControl&) = delete;
  ~StepControl() {
    withdraw();
    munmap(board_, sizeof(StepBoard));
  }

  /// A daemon that obeys.
  DaemonUnderTest::Options options(const ModeUnderTest& mode, Arguments more = {}) const {
    Arguments arguments = mode.arguments;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return {.arguments = arguments,
            .control = {},
            .program = program_options(),
            .binary = forkechod_with_steps()};
  }
  ProgramOptions program_options() const {
    return {.input = {},
            .before_exec =
                [path = directory_.path("steps")] { setenv(step_board_variable, path.c_str(), 1); },
            .own_session = true};
  }

  /// The order with this number is from now on as given; what it has done counts from 0.
  void order(const Order& order, std::size_t number = 0) {
    StepOrder& on_board = board_->orders.at(number);
    on_board.left = 0;
    on_board.step = {};
    order.step.copy(on_board.step.data(), on_board.step.size() - 1);
    on_board.action = order.action;
    on_board.argument = order.argument;
    on_board.skip = order.skip;
    on_board.done = 0;
    on_board.last = 0;
    on_board.left = order.times;
  }
  /// Who is held goes on.
  void let_go() {
    for (StepOrder& order : board_->orders) {
      if (order.action == StepAction::hold) order.argument = 0;
    }
  }
  /// Nothing happens at any step any more; who is held goes on.
  void withdraw() {
    for (StepOrder& order : board_->orders) order.left = 0;
    let_go();
  }
  unsigned done(std::size_t number = 0) const { return board_->orders.at(number).done; }
  pid_t last(std::size_t number = 0) const { return board_->orders.at(number).last; }
  bool wait_until_done(unsigned times, std::size_t number = 0,
                       sys::Deadline deadline = patience()) const {
    return eventually(deadline, [&] { return done(number) >= times; });
  }

 private:
  TempDir directory_;
  StepBoard* board_ = nullptr;
};

}  // namespace forkecho::tests
