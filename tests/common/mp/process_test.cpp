#include "common/mp/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include "common/mp/fork.h"
#include "common/mp/raw_shared.h"
#include "common/mp/reap.h"
#include "tests/support/child.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

std::optional<int> exitcode_after(Process process) {
  process.start();
  EXPECT_TRUE(process.join(tests::patience()));
  return process.exitcode();
}

/// Errors of children go to standard error; where a test makes some, nobody needs to read them.
void silence() {
  close(STDERR_FILENO);
}

TEST(Process, ReturningIsZero) {
  EXPECT_EQ(exitcode_after(Process([] {})), 0);
}

TEST(Process, LeavingIsTheNumber) {
  EXPECT_EQ(exitcode_after(Process([] { leave(42); })), 42);
  EXPECT_EQ(exitcode_after(Process([] { leave(255); })), 255);
}

TEST(Process, AnExceptionIsOne) {
  EXPECT_EQ(exitcode_after(Process([] {
              silence();
              throw std::runtime_error("on purpose");
            })),
            1);
  EXPECT_EQ(exitcode_after(Process([] {
              silence();
              throw 5;
            })),
            1);
}

TEST(Process, AnExceptionsTextGoesToStandardError) {
  tests::Pipe errors;
  Process process([&] {
    dup2(errors.write.get(), STDERR_FILENO);
    throw std::runtime_error("the reason");
  });
  process.set_name("unlucky");
  process.start();
  errors.write.reset();
  EXPECT_TRUE(process.join(tests::patience()));
  char text[100] = "";
  EXPECT_GT(read(errors.read.get(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "unlucky: the reason\n");
}

TEST(Process, ASignalIsNegative) {
  Process stopped([] { pause(); });
  stopped.start();
  stopped.terminate();
  EXPECT_TRUE(stopped.join(tests::patience()));
  EXPECT_EQ(stopped.exitcode(), -SIGTERM);

  Process killed([] { pause(); });
  killed.start();
  killed.kill();
  EXPECT_TRUE(killed.join(tests::patience()));
  EXPECT_EQ(killed.exitcode(), -SIGKILL);
}

TEST(Process, TheTargetGetsItsArguments) {
  EXPECT_EQ(exitcode_after(
                Process([](int a, const std::string& b) { leave(a + static_cast<int>(b.size())); },
                        40, std::string("xy"))),
            42);
}

TEST(Process, ASubclassMayOverrideRun) {
  class Worker : public Process {
   protected:
    void run() override { leave(11); }
  };
  Worker worker;
  worker.start();
  EXPECT_TRUE(worker.join(tests::patience()));
  EXPECT_EQ(worker.exitcode(), 11);
}

TEST(Process, TellsOfItselfBeforeWhileAndAfter) {
  Gate end;
  Process process([&] { leave(end.pass() ? 0 : 1); });
  EXPECT_FALSE(process.pid());
  EXPECT_FALSE(process.exitcode());
  EXPECT_FALSE(process.is_alive());
  process.start();
  ASSERT_TRUE(process.pid());
  EXPECT_TRUE(process.is_alive());
  EXPECT_FALSE(process.exitcode());
  EXPECT_EQ(active_children(), std::vector{*process.pid()});
  EXPECT_FALSE(process.join(sys::Deadline::after({})));
  end.open();
  EXPECT_TRUE(process.join(tests::patience()));
  EXPECT_FALSE(process.is_alive());
  EXPECT_EQ(process.exitcode(), 0);
  EXPECT_TRUE(active_children().empty());
  EXPECT_TRUE(process.join());  // as often as one likes
}

TEST(Process, ActiveChildrenReapsThoseWhoseOwnerIsGone) {
  pid_t pid = 0;
  {
    Process forgotten([] {});
    forgotten.start();
    pid = *forgotten.pid();
  }
  EXPECT_TRUE(tests::readable(open_sentinel(pid).get()));
  EXPECT_TRUE(active_children().empty());
  EXPECT_TRUE(reap_one(pid).none_left);
}

TEST(Process, ItsNameIsTheCurrentOneInTheChild) {
  EXPECT_EQ(current_process_name(), "MainProcess");
  Process process([] { leave(current_process_name() == "worker 7" ? 0 : 1); });
  EXPECT_EQ(process.name().find("Process-"), 0U);
  process.set_name("worker 7");
  EXPECT_EQ(exitcode_after(std::move(process)), 0);
}

TEST(Process, ReadsNothingFromStandardInput) {
  EXPECT_EQ(exitcode_after(Process([] {
              char byte = 0;
              leave(read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1);
            })),
            0);
}

/// Runs `test` in a child whose standard input is a pipe with one byte in it.
template <typename Test>
std::optional<int> with_input(Test test) {
  return tests::exitcode_in_child([&] {
    tests::Pipe input;
    if (write(input.write.get(), "x", 1) != 1) return 1;
    dup2(input.read.get(), STDIN_FILENO);
    return test();
  });
}

/// What a Process reads from the standard input that its parent has: 1 byte or none.
int bytes_read_by(bool keeps_stdin) {
  Process process([] {
    char byte = 0;
    leave(static_cast<int>(read(STDIN_FILENO, &byte, 1)));
  });
  if (keeps_stdin) process.keep_stdin();
  return exitcode_after(std::move(process)).value_or(99);
}

TEST(Process, LeavesItsParentsInputAloneUnlessAskedToKeepIt) {
  EXPECT_EQ(with_input([] { return bytes_read_by(false); }), 0);
  EXPECT_EQ(with_input([] { return bytes_read_by(true); }), 1);
}

TEST(Process, ADaemonDiesWithItsKilledParent) {
  tests::Pipe alive;
  Gate ready;
  const pid_t parent = tests::start_child([&] {
    Process child([&] {
      ready.open();
      pause();
    });
    child.set_daemon(true);
    child.start();
    alive.write.reset();
    pause();
    return 0;
  });
  alive.write.reset();
  ASSERT_TRUE(ready.pass());
  kill(parent, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(parent), -SIGKILL);
  EXPECT_TRUE(tests::readable(alive.read.get()));
}

TEST(Process, ADaemonMayHaveNoChildren) {
  Process daemon([] {
    try {
      Process([] {}).start();
    } catch (const std::logic_error&) {
      leave(8);
    }
  });
  daemon.set_daemon(true);
  EXPECT_TRUE(daemon.daemon());
  EXPECT_EQ(exitcode_after(std::move(daemon)), 8);
}

/// The exit code of a child that was sent SIGTERM before its target had begun.
std::optional<int> exitcode_after_early_signal(bool keeps_blocked) {
  Gate sent;
  Process process([&] {
    if (!sent.pass()) leave(1);
    std::signal(SIGTERM, [](int) { _exit(33); });
    accept_signals();
    leave(2);
  });
  if (keeps_blocked) process.keep_signals_blocked();
  process.start();
  process.terminate();
  sent.open();
  EXPECT_TRUE(process.join(tests::patience()));
  return process.exitcode();
}

TEST(Process, ASignalWaitsForTheTargetsHandlersWhenAskedTo) {
  EXPECT_EQ(exitcode_after_early_signal(true), 33);
  EXPECT_EQ(exitcode_after_early_signal(false), -SIGTERM);
}

TEST(Process, SentinelIsReadableAtTheEndAndStaysSo) {
  Gate end;
  Process process([&] { end.pass(); });
  process.start();
  EXPECT_FALSE(tests::readable(process.sentinel(), sys::Deadline::after({})));
  end.open();
  EXPECT_TRUE(tests::readable(process.sentinel()));
  EXPECT_TRUE(process.join(tests::patience()));
  EXPECT_TRUE(tests::readable(process.sentinel(), sys::Deadline::after({})));
}

TEST(Process, SentinelAskedForAfterTheEndIsReadableToo) {
  Process process([] {});
  process.start();
  EXPECT_TRUE(process.join(tests::patience()));
  EXPECT_TRUE(tests::readable(process.sentinel(), sys::Deadline::after({})));
}

TEST(Process, ClosesOnlyAfterItsEnd) {
  Gate end;
  Process process([&] { end.pass(); });
  process.start();
  EXPECT_THROW(process.close(), std::logic_error);
  end.open();
  EXPECT_TRUE(process.join(tests::patience()));
  process.close();
  EXPECT_THROW(process.join(), std::logic_error);
  EXPECT_THROW(process.is_alive(), std::logic_error);
  EXPECT_THROW(process.exitcode(), std::logic_error);
  EXPECT_THROW(process.sentinel(), std::logic_error);
  EXPECT_THROW(process.start(), std::logic_error);
  EXPECT_THROW(process.close(), std::logic_error);
}

TEST(Process, RefusesWhatItsStateDoesNotAllow) {
  Process process([] {});
  EXPECT_THROW(process.join(), std::logic_error);
  EXPECT_THROW(process.terminate(), std::logic_error);
  EXPECT_THROW(process.sentinel(), std::logic_error);
  process.start();
  EXPECT_THROW(process.start(), std::logic_error);
  EXPECT_THROW(process.set_daemon(true), std::logic_error);
  EXPECT_TRUE(process.join(tests::patience()));
  EXPECT_THROW(process.start(), std::logic_error);
}

TEST(Process, SignalsAfterTheEndHitNobody) {
  Process process([] {});
  process.start();
  EXPECT_TRUE(process.join(tests::patience()));
  process.kill();
  EXPECT_EQ(process.exitcode(), 0);
}

TEST(Process, AStrangerMayNotJoin) {
  Gate end;
  Process process([&] { end.pass(); });
  process.start();
  EXPECT_EQ(tests::exitcode_in_child([&] {
              try {
                process.join();
              } catch (const std::logic_error&) {
                return 0;
              }
              return 1;
            }),
            0);
  end.open();
  EXPECT_TRUE(process.join(tests::patience()));
}

TEST(Process, TheChildMayNotJoinItself) {
  Process* self = nullptr;
  Process process([&] {
    try {
      self->join();
    } catch (const std::logic_error&) {
      leave(3);
    }
  });
  self = &process;
  process.start();
  EXPECT_TRUE(process.join(tests::patience()));
  EXPECT_EQ(process.exitcode(), 3);
}

TEST(Process, AChildMayHaveChildren) {
  EXPECT_EQ(exitcode_after(
                Process([] { leave(exitcode_after(Process([] { leave(4); })).value_or(99)); })),
            4);
}

TEST(Process, PrintsOnceWhatItsParentHadBuffered) {
  tests::Pipe output;
  const pid_t parent = tests::start_child([&] {
    dup2(output.write.get(), STDOUT_FILENO);
    std::printf("parent ");
    Process child([] { std::printf("child "); });
    child.start();
    child.join();
    std::fflush(stdout);
    return 0;
  });
  output.write.reset();
  EXPECT_EQ(tests::exitcode_of(parent), 0);
  char text[100] = "";
  EXPECT_GT(read(output.read.get(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "parent child ");
}

TEST(Process, RunsNoExitHandlersOfItsParent) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              std::atexit([] { _exit(77); });
              return exitcode_after(Process([] {})).value_or(99);
            }),
            0);
}

TEST(Process, OutputThatIsLostMakesItFail) {
  EXPECT_EQ(exitcode_after(Process([] {
              dup2(sys::Descriptor(open("/dev/full", O_WRONLY | O_CLOEXEC)).get(), STDOUT_FILENO);
              std::printf("into nothing");
            })),
            1);
}

TEST(Process, ARefusalOfTheSystemIsAnErrorThatCanBeTriedAgain) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              const rlimit none{.rlim_cur = 0, .rlim_max = 0};
              setrlimit(RLIMIT_NPROC, &none);
              if (geteuid() == 0) sys::check_syscall(setresuid(65534, 65534, 65534), "setresuid");
              Process process([] {});
              try {
                process.start();
              } catch (const std::system_error& error) {
                return error.code() == std::errc::resource_unavailable_try_again && !process.pid()
                           ? 0
                           : 1;
              }
              return 2;
            }),
            0);
}

// With SIGCHLD ignored the kernel reaps by itself and the exit code is lost. The process has ended
// all the same, and its pid may belong to somebody else.
TEST(Process, AnEndThatSomebodyElseReapedIsAnEnd) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              std::signal(SIGCHLD, SIG_IGN);
              Process process([] { leave(5); });
              process.start();
              if (!process.join(tests::patience())) return 1;
              if (process.is_alive()) return 2;
              if (!active_children().empty()) return 3;
              return process.exitcode() == exit_unknown ? 0 : 4;
            }),
            0);
}

}  // namespace
}  // namespace forkecho::mp
