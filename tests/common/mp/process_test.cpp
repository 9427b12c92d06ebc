#include "common/mp/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "common/mp/connection.h"
#include "common/mp/fork.h"
#include "common/mp/raw_shared.h"
#include "common/mp/reap.h"
#include "common/mp/robust_mutex.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"

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
  PROVES("0.2", "4.3", "cpython:test_sys_exit");
  EXPECT_EQ(exitcode_after(Process([] { leave(42); })), 42);
  EXPECT_EQ(exitcode_after(Process([] { leave(255); })), 255);
}

TEST(Process, AnExceptionIsOne) {
  PROVES("0.2", "cpython:test_sys_exit");
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

/// The exit code of a Process with that target; of one in which start has thrown: 70.
template <typename Target>
std::optional<int> exitcode_if_start_throws_nothing(Target target) {
  return tests::exitcode_in_child([&] {
    Process process(target);
    try {
      process.start();
    } catch (...) {
      return 70;
    }
    return process.join(tests::patience()) ? process.exitcode().value_or(99) : 98;
  });
}

TEST(Process, NoExceptionLeavesStartInTheChild) {
  EXPECT_EQ(exitcode_if_start_throws_nothing([] {
              silence();
              throw static_cast<const char*>(nullptr);
            }),
            1);
  EXPECT_EQ(exitcode_if_start_throws_nothing([] {
              silence();
              struct Wordless : std::exception {
                const char* what() const noexcept override { return nullptr; }
              };
              throw Wordless();
            }),
            1);
}

TEST(Process, AnExceptionsTypeAndTextGoToStandardError) {
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
  EXPECT_STREQ(text, "unlucky: std::runtime_error: the reason\n");
}

TEST(Process, ASignalIsNegative) {
  PROVES("0.2", "3.4", "4.3", "cpython:test_terminate", "cpython:test_kill");
  Process stopped([] { pause(); });
  stopped.start();
  stopped.terminate();
  EXPECT_TRUE(stopped.join(tests::patience()));
  EXPECT_EQ(stopped.exitcode(), -SIGTERM);
  EXPECT_FALSE(stopped.is_alive());

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
  PROVES("3.2");
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
  PROVES("0.1", "0.2", "2.2", "cpython:test_process");
  Gate end;
  Process process([&] { leave(end.pass() ? 0 : 1); });
  EXPECT_FALSE(process.pid());
  EXPECT_FALSE(process.exitcode());
  EXPECT_FALSE(process.is_alive());
  process.start();
  ASSERT_TRUE(process.pid());
  EXPECT_TRUE(process.is_alive());
  EXPECT_FALSE(process.exitcode());
  ASSERT_EQ(active_children().size(), 1U);
  EXPECT_EQ(active_children().front().pid, process.pid());
  EXPECT_FALSE(process.join(sys::Deadline::after({})));
  end.open();
  EXPECT_TRUE(process.join(tests::patience()));
  EXPECT_FALSE(process.is_alive());
  EXPECT_EQ(process.exitcode(), 0);
  EXPECT_TRUE(active_children().empty());
  EXPECT_TRUE(process.join());  // as often as one likes
}

TEST(Process, ActiveChildrenReapsThoseWhoseOwnerIsGone) {
  PROVES("cpython:test_active_children");
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

TEST(Process, AStartReapsThoseThatNobodyJoins) {
  pid_t pid = 0;
  {
    Process forgotten([] {});
    forgotten.start();
    pid = *forgotten.pid();
  }
  ASSERT_TRUE(tests::readable(open_sentinel(pid).get()));
  EXPECT_EQ(tests::state_of(pid), 'Z');
  Gate end;
  Process next([&] { end.pass(); });
  next.start();
  EXPECT_EQ(tests::state_of(pid), '-');
  end.open();
  EXPECT_TRUE(next.join(tests::patience()));
}

TEST(Process, AStartLeavesADetachedOneToItsOwner) {
  Process detached({.detached = true}, [] { leave(5); });
  detached.start();
  const pid_t pid = *detached.pid();
  pid_t without_owner = 0;
  {
    Process forgotten({.detached = true}, [] {});
    forgotten.start();
    without_owner = *forgotten.pid();
  }
  ASSERT_TRUE(tests::readable(open_sentinel(pid).get()));
  ASSERT_TRUE(tests::readable(open_sentinel(without_owner).get()));
  EXPECT_EQ(exitcode_after(Process([] {})), 0);
  EXPECT_EQ(tests::state_of(without_owner), '-');
  EXPECT_EQ(peek_ended()->pid, pid);
  EXPECT_EQ(detached.exitcode(), 5);
}

TEST(Process, ReadsNothingFromStandardInput) {
  PROVES("0.10");
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
  return exitcode_after(Process({.keep_stdin = keeps_stdin},
                                [] {
                                  char byte = 0;
                                  leave(static_cast<int>(read(STDIN_FILENO, &byte, 1)));
                                }))
      .value_or(99);
}

TEST(Process, LeavesItsParentsInputAloneUnlessAskedToKeepIt) {
  PROVES("0.10");
  EXPECT_EQ(with_input([] { return bytes_read_by(false); }), 0);
  EXPECT_EQ(with_input([] { return bytes_read_by(true); }), 1);
}

/// What a Process reads with getchar when its parent has read the first of two lines.
int next_character_in_child(bool keeps_stdin) {
  tests::Pipe input;
  if (write(input.write.get(), "1\n2\n", 4) != 4) return 90;
  dup2(input.read.get(), STDIN_FILENO);
  if (std::getchar() != '1' || std::getchar() != '\n') return 91;
  // The buffer is what matters then, whichever file the number stands for.
  dup2(sys::Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC)).get(), STDIN_FILENO);
  return exitcode_after(Process({.keep_stdin = keeps_stdin},
                                [] {
                                  const int next = std::getchar();
                                  leave(next == EOF ? 0 : next);
                                }))
      .value_or(99);
}

TEST(Process, ReadsNothingThatItsParentHasReadAheadUnlessAskedToKeepIt) {
  EXPECT_EQ(tests::exitcode_in_child([] { return next_character_in_child(false); }), 0);
  EXPECT_EQ(tests::exitcode_in_child([] { return next_character_in_child(true); }), '2');
}

TEST(Process, APipeAndALifelineOutliveThatItsStandardInputIsReplaced) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              close(STDIN_FILENO);
              mp::Pipe pipe;
              Process child([&] { leave(pipe.first.send(5) ? 0 : 1); });
              child.start();
              if (pipe.second.recv<int>() != 5) return 1;
              if (!child.join(tests::patience()) || child.exitcode() != 0) return 2;
              int result = 3;
              std::thread([&] {  // one that is not the first: with a lifeline
                Process daemon({.daemon = true}, [] { leave(7); });
                daemon.start();
                if (daemon.join(tests::patience()) && daemon.exitcode() == 7) result = 0;
              })
                  .join();
              return result;
            }),
            0);
}

TEST(Process, ADaemonDiesWithItsKilledParent) {
  PROVES("0.9");
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
  PROVES("0.1");
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
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the sanitizer calls handlers later";
#endif
  EXPECT_EQ(exitcode_after_early_signal(true), 33);
  EXPECT_EQ(exitcode_after_early_signal(false), -SIGTERM);
}

TEST(Process, SentinelIsReadableAtTheEndAndStaysSo) {
  PROVES("0.3", "cpython:test_sentinel");
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
  PROVES("0.4", "cpython:test_close");
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
  EXPECT_THROW(process.pid(), std::logic_error);
  EXPECT_THROW(process.terminate(), std::logic_error);
  EXPECT_THROW(process.kill(), std::logic_error);
  EXPECT_THROW(process.start(), std::logic_error);
  EXPECT_THROW(process.close(), std::logic_error);
  EXPECT_NE(process.name(), "");
}

TEST(Process, RefusesWhatItsStateDoesNotAllow) {
  PROVES("2.2");
  Process process([] {});
  EXPECT_THROW(process.join(), std::logic_error);
  EXPECT_THROW(process.terminate(), std::logic_error);
  EXPECT_THROW(process.sentinel(), std::logic_error);
  process.start();
  EXPECT_THROW(process.start(), std::logic_error);
  EXPECT_THROW(process.set_daemon(true), std::logic_error);
  EXPECT_THROW(process.set_authkey(AuthKey(1)), std::logic_error);
  EXPECT_THROW(process.keep_stdin(), std::logic_error);
  EXPECT_THROW(process.keep_signals_blocked(), std::logic_error);
  EXPECT_TRUE(process.join(tests::patience()));
  EXPECT_THROW(process.start(), std::logic_error);
}

TEST(Process, OneThatWasMovedFromCannotBeStarted) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              Process process([] {});
              const Process moved = std::move(process);
              try {
                process.start();  // NOLINT(bugprone-use-after-move): what is tested
              } catch (const std::logic_error&) {
                return active_children().empty() ? 0 : 1;
              }
              return 2;
            }),
            0);
}

TEST(Process, SignalsAfterTheEndHitNobody) {
  Process process([] {});
  process.start();
  EXPECT_TRUE(process.join(tests::patience()));
  process.kill();
  EXPECT_EQ(process.exitcode(), 0);
}

TEST(Process, ASignalThatIsNoneIsAnError) {
  Gate end;
  Process process([&] { end.pass(); });
  process.start();
  EXPECT_THROW(process.signal(-1), std::system_error);
  EXPECT_THROW(process.signal(1000), std::system_error);
  end.open();
  EXPECT_TRUE(process.join(tests::patience()));
  EXPECT_EQ(process.exitcode(), 0);
}

TEST(Process, ASignalThatMayNotBeSentIsAnErrorWithItsName) {
  if (geteuid() != 0) GTEST_SKIP() << "needs a second user";
  Gate end;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              Process process({.name = "another's"}, [&] { end.pass(); });
              process.start();
              sys::check_syscall(setresuid(65534, 65534, 65534), "setresuid");
              int result = 1;
              try {
                process.terminate();
              } catch (const std::system_error& error) {
                const bool named = std::strstr(error.what(), "another's") != nullptr;
                result = named && error.code().value() == EPERM ? 0 : 2;
              }
              end.open();
              process.join();
              return result;
            }),
            0);
}

TEST(Process, AStrangerMayNotJoin) {
  PROVES("2.2");
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
  PROVES("cpython:test_error_on_stdio_flush");
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

/// Records of children that somebody else reaped, with every pid that comes next.
std::vector<std::shared_ptr<ChildRecord>> register_lost_children(pid_t last) {
  constexpr int pids = 2000;
  std::vector<std::shared_ptr<ChildRecord>> lost;
  const RegistryGuard guard;
  for (int i = 1; i <= pids; ++i) {
    lost.push_back(std::make_shared<ChildRecord>(ChildRecord{.pid = last + i}));
    ChildRegistry::add(lost.back());
  }
  return lost;
}

/// Whether a Process got a pid of a lost child, and each of them its own exit code (0); 2 when the
/// pid was another.
int exitcodes_with_reused_pid() {
  const pid_t last = tests::start_child([] { return 0; });
  tests::exitcode_of(last);
  const auto lost = register_lost_children(last);
  Process process([] { leave(7); });
  process.start();
  const pid_t pid = *process.pid();
  if (!process.join(tests::patience()) || process.exitcode() != 7) return 1;
  if (pid <= last || pid > lost.back()->pid) return 2;
  return lost.at(static_cast<std::size_t>(pid - last - 1))->exitcode == exit_unknown ? 0 : 3;
}

TEST(Process, HasItsExitCodeAlsoWithThePidOfOneThatSomebodyElseReaped) {
  std::optional<int> result = 2;
  for (int attempt = 0; attempt < 5 && result == 2; ++attempt)
    result = tests::exitcode_in_child(exitcodes_with_reused_pid);
  EXPECT_EQ(result, 0);
}

TEST(Process, NamesAreCountedAlongTheFamily) {
  PROVES("2.2", "cpython:test_process");
  const auto number_in = [](const std::string& name) { return std::stoi(name.substr(8)); };
  Process first([] {});
  Process second([] {});
  EXPECT_TRUE(first.name().starts_with("Process-"));
  EXPECT_EQ(number_in(second.name()), number_in(first.name()) + 1);

  Process parent([] {
    const std::string own = current_process().name();
    Process child([own] { leave(current_process().name() == own + ":1" ? 7 : 1); });
    Process sibling([own] { leave(current_process().name() == own + ":2" ? 7 : 1); });
    leave(child.name() == own + ":1" && exitcode_after(std::move(child)) == 7 &&
                  exitcode_after(std::move(sibling)) == 7
              ? 0
              : 1);
  });
  EXPECT_EQ(exitcode_after(std::move(parent)), 0);
}

TEST(Process, SetNameIsWhatTheChildIsCalled) {
  Process process([] { leave(current_process().name() == "worker 7" ? 0 : 1); });
  process.set_name("worker 7");
  EXPECT_EQ(process.name(), "worker 7");
  EXPECT_EQ(exitcode_after(std::move(process)), 0);
}

TEST(Process, OptionsAreSaidByName) {
  PROVES("0.1", "cpython:test_daemon_argument");
  Process process(
      {.name = "named", .daemon = true},
      [](int code) {
        const auto& self = current_process();
        leave(self.name() == "named" && self.daemon() ? code : 1);
      },
      6);
  EXPECT_EQ(process.name(), "named");
  EXPECT_TRUE(process.daemon());
  EXPECT_FALSE(Process([] {}).daemon());
  EXPECT_EQ(exitcode_after(std::move(process)), 6);
}

TEST(Process, ArgumentsByPositionAndByName) {
  PROVES("0.8", "2.3");
  struct Named {
    int a = 0;
    int b = 0;
    int c = 0;
  };
  const auto sum_is_21 = [](int x, int y, int z, Named named) {
    leave(x == 1 && y == 2 && z == 3 && named.a == 4 && named.b == 5 && named.c == 6 ? 0 : 1);
  };
  EXPECT_EQ(exitcode_after(Process(sum_is_21, 1, 2, 3, Named{.a = 4, .b = 5, .c = 6})), 0);
}

TEST(Process, ExecutesNTimes) {
  PROVES("0.8");
  RawValue<std::atomic<int>> executed;
  const auto execute = [&executed](int times) {
    for (int i = 0; i < times; ++i) ++*executed;
  };
  EXPECT_EQ(exitcode_after(Process(execute, 5)), 0);
  EXPECT_EQ(*executed, 5);
}

TEST(Process, PidsAgreeOnBothSides) {
  PROVES("0.7", "3.3", "cpython:test_current");
  RawValue<std::atomic<pid_t>> own;
  RawValue<std::atomic<pid_t>> parents;
  Process process([&] {
    *own = getpid();
    *parents = getppid();
    leave(current_process().pid() == getpid() ? 0 : 1);
  });
  process.start();
  EXPECT_TRUE(process.join(tests::patience()));
  EXPECT_EQ(process.exitcode(), 0);
  EXPECT_EQ(*own, process.pid());
  EXPECT_EQ(*parents, getpid());
}

TEST(Process, KnowsItselfInTheChild) {
  class Self : public Process {
   protected:
    void run() override {
      try {
        kill();
      } catch (const std::logic_error&) {
        leave(pid() == getpid() && is_alive() && name() == "self" ? 0 : 1);
      }
    }
  };
  Self self;
  self.set_name("self");
  self.start();
  EXPECT_TRUE(self.join(tests::patience()));
  EXPECT_EQ(self.exitcode(), 0);
}

TEST(Process, MemoryIsNotShared) {
  PROVES("0.6", "1.2", "2.4", "3.3");
  std::vector<std::string> names{"Ann", "Bob", "Cid"};
  static int global;
  global = 100;
  const auto change = [&names] {
    names.clear();
    ++global;
    leave(names.empty() && global == 101 ? 0 : 1);
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(exitcode_after(Process(change)), 0);
  EXPECT_EQ(names.size(), 3U);
  EXPECT_EQ(global, 100);
}

TEST(Process, RunSideBySide) {
  PROVES("1.1", "2.5");
  RawValue<std::atomic<int>> running;
  Gate everyone;
  std::vector<Process> workers;
  for (int i = 0; i < 5; ++i) {
    workers.emplace_back([&] {
      if (++*running == 5) everyone.open();
      leave(everyone.pass() ? 0 : 1);  // only when all five are here
    });
    workers.back().start();
  }
  for (Process& worker : workers) {
    EXPECT_TRUE(worker.join(tests::patience()));
    EXPECT_EQ(worker.exitcode(), 0);
    EXPECT_TRUE(worker.join());  // at once
  }
}

TEST(Process, SeveralAtOnceEachRunOnce) {
  PROVES("4.1");
  RawArray<std::atomic<int>> runs(10);
  std::vector<Process> children;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    children.emplace_back([&runs, i] { ++runs[i]; });
    children.back().start();
  }
  for (Process& child : children) EXPECT_TRUE(child.join(tests::patience()));
  for (const auto& count : runs.all()) EXPECT_EQ(count, 1);
}

TEST(Process, WithJoinTheParentsLineIsLast) {
  PROVES("3.1");
  tests::Pipe output;
  const auto say = [&](char line) { EXPECT_EQ(write(output.write.get(), &line, 1), 1); };
  Gate said;
  Process first_the_parent([&] {
    if (said.pass()) say('c');
  });
  first_the_parent.start();
  say('p');
  said.open();
  EXPECT_TRUE(first_the_parent.join(tests::patience()));
  Process first_the_child([&] { say('c'); });
  first_the_child.start();
  EXPECT_TRUE(first_the_child.join(tests::patience()));
  say('p');
  char lines[5] = "";
  EXPECT_EQ(read(output.read.get(), lines, 4), 4);
  EXPECT_STREQ(lines, "pccp");
}

/// An uppercaser in a process of its own, asked over a pipe.
class Uppercaser : public Process {
 public:
  Uppercaser() : Process({.name = "uppercaser"}) {}
  std::string ask(const std::string& text) {
    pipe_.first.send(text);
    return pipe_.first.recv<std::string>().value_or("gone");
  }
  void let_go() { pipe_.first.close(); }

 protected:
  void run() override {
    pipe_.first.close();
    while (auto text = pipe_.second.recv<std::string>()) {
      for (char& c : *text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      pipe_.second.send(*text);
    }
  }

 private:
  mp::Pipe pipe_;
};

TEST(Process, ASubclassTalksOverItsPipe) {
  PROVES("3.2", "cpython:test_subclassing");
  Uppercaser uppercaser;
  uppercaser.set_daemon(true);
  uppercaser.start();
  EXPECT_EQ(uppercaser.ask("hello"), "HELLO");
  EXPECT_EQ(uppercaser.ask("world"), "WORLD");
  uppercaser.let_go();
  EXPECT_TRUE(uppercaser.join(tests::patience()));
  EXPECT_EQ(uppercaser.exitcode(), 0);
}

/// A tree of processes, each of which sends the path to it.
void send_tree(Connection& to, const std::string& path) {
  to.send(path);
  if (path.size() >= 2) return;
  for (const char branch : {'0', '1'}) {
    Process child([&] { send_tree(to, path + branch); });
    child.start();
    child.join();
  }
}

TEST(Process, ChildrenOfChildrenInOrder) {
  PROVES("cpython:test_recursion");
  mp::Pipe pipe(Duplex::no);
  send_tree(pipe.second, "");
  std::vector<std::string> paths;
  while (pipe.first.poll()) paths.push_back(*pipe.first.recv<std::string>());
  EXPECT_EQ(paths, (std::vector<std::string>{"", "0", "00", "01", "1", "10", "11"}));
}

// "alive" while the parent lives, "not alive" afterwards.
TEST(Process, SeesTheEndOfItsParent) {
  PROVES("cpython:test_parent_process");
  EXPECT_EQ(parent_process(), nullptr);
  const tests::AdoptOrphans adopt;
  RawValue<std::atomic<pid_t>> grandchild;
  tests::Pipe said;
  Process parent({.name = "wake"}, [&] {
    Process child({.detached = true}, [&] {
      *grandchild = getpid();
      const auto say = [&](const char* text) {
        return write(said.write.get(), text, std::strlen(text)) > 0;
      };
      ParentProcess& above = *parent_process();
      if (!say(above.name().c_str()) || !say(above.is_alive() ? " alive" : " dead")) leave(1);
      if (!above.join(tests::patience())) leave(2);
      leave(say(above.is_alive() ? " alive" : " dead") ? 0 : 3);
    });
    child.start();
    pause();
  });
  parent.start();
  char text[30] = "";
  for (std::size_t length = 0; std::strlen(text) < std::strlen("wake alive");)
    length += static_cast<std::size_t>(read(said.read.get(), text + length, 10 - length));
  EXPECT_STREQ(text, "wake alive");
  parent.kill();
  EXPECT_TRUE(parent.join(tests::patience()));
  EXPECT_EQ(tests::exitcode_of(*grandchild), 0);
  EXPECT_EQ(read(said.read.get(), text, sizeof text), 5);
  EXPECT_EQ(std::string(text, 5), " dead");
}

TEST(Process, Many) {
  PROVES("cpython:test_many_processes");
  std::vector<Process> children;
  for (int i = 0; i < 100; ++i) children.emplace_back([] {});
  for (int i = 0; i < 100; ++i) children.emplace_back([] { pause(); });
  for (Process& child : children) child.start();
  for (std::size_t i = 100; i < 200; ++i) children[i].terminate();
  for (Process& child : children) ASSERT_TRUE(child.join(tests::patience()));
  for (std::size_t i = 0; i < 200; ++i)
    EXPECT_EQ(children[i].exitcode(), i < 100 ? 0 : -SIGTERM) << i;
}

TEST(Process, AnIgnoredTerminateAndThenKill) {
  PROVES("4.4");
  Gate ready;
  Process stubborn([&] {
    std::signal(SIGTERM, SIG_IGN);
    ready.open();
    pause();
  });
  stubborn.start();
  ASSERT_TRUE(ready.pass());
  stubborn.terminate();
  EXPECT_FALSE(stubborn.join(sys::Deadline::after(std::chrono::milliseconds(50))));
  stubborn.kill();
  EXPECT_TRUE(stubborn.join(tests::patience()));
  EXPECT_EQ(stubborn.exitcode(), -SIGKILL);
}

TEST(Process, AHandlerMayEndItWithACodeOfItsOwn) {
  PROVES("4.4");
  tests::Pipe output;
  Gate ready;
  static int out;
  out = output.write.get();
  Process child([&] {
    std::signal(SIGTERM, [](int) {
      const bool written = write(out, "child will die", 14) == 14;
      _exit(written ? 0 : 1);
    });
    ready.open();
    for (;;) pause();
  });
  child.start();
  ASSERT_TRUE(ready.pass());
  child.terminate();
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_EQ(child.exitcode(), 0);
  char text[20] = "";
  EXPECT_EQ(read(output.read.get(), text, sizeof text), 14);
  EXPECT_STREQ(text, "child will die");
}

TEST(Process, TerminateRunsNoExitHandlers) {
  PROVES("0.4");
  Gate ready;
  Process child([&] {
    std::atexit([] { _exit(77); });
    ready.open();
    pause();
  });
  child.start();
  ASSERT_TRUE(ready.pass());
  child.terminate();
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_EQ(child.exitcode(), -SIGTERM);
}

TEST(Process, GrandchildrenOutliveATerminatedChild) {
  PROVES("0.4");
  const tests::AdoptOrphans adopt;
  RawValue<std::atomic<pid_t>> grandchild;
  Gate ready;
  Gate end;
  Process child([&] {
    Process its_own([&] { leave(end.pass() ? 5 : 1); });
    its_own.start();
    *grandchild = *its_own.pid();
    ready.open();
    pause();
  });
  child.start();
  ASSERT_TRUE(ready.pass());
  child.terminate();
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_FALSE(tests::readable(open_sentinel(*grandchild).get(), sys::Deadline::immediately()));
  end.open();
  EXPECT_EQ(tests::exitcode_of(*grandchild), 5);
}

TEST(Process, ALivingGrandchildDoesNotKeepTheSentinelUnready) {
  PROVES("0.3", "cpython:test_sentinel");
  const tests::AdoptOrphans adopt;
  RawValue<std::atomic<pid_t>> grandchild;
  Gate end;
  Process child([&] {
    Process its_own({.detached = true}, [&] { end.pass(); });
    its_own.start();
    *grandchild = *its_own.pid();
  });
  child.start();
  EXPECT_TRUE(tests::readable(child.sentinel()));
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_EQ(child.exitcode(), 0);
  EXPECT_FALSE(tests::readable(open_sentinel(*grandchild).get(), sys::Deadline::immediately()));
  end.open();
  EXPECT_EQ(tests::exitcode_of(*grandchild), 0);
}

TEST(Process, AZombieUntilItIsReaped) {
  PROVES("3.5", "4.2");
  Process child([] { pause(); });
  child.start();
  child.kill();
  ASSERT_TRUE(tests::readable(child.sentinel()));
  EXPECT_EQ(tests::state_of(*child.pid()), 'Z');
  const pid_t pid = *child.pid();
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_EQ(tests::state_of(pid), '-');
}

TEST(Process, InheritsTheKeyUnlessGivenOne) {
  PROVES("0.3");
  const AuthKey own = current_process().authkey();
  EXPECT_EQ(own.size(), 32U);
  EXPECT_NE(own, AuthKey(32));
  EXPECT_EQ(Process([] {}).authkey(), own);
  EXPECT_EQ(exitcode_after(Process([own] {
              const bool inherited = current_process().authkey() == own;
              Process grandchild([own] { leave(current_process().authkey() == own ? 0 : 2); });
              leave(inherited ? exitcode_after(std::move(grandchild)).value_or(9) : 1);
            })),
            0);
  const AuthKey given(5, std::byte{7});
  Process other([given] { leave(current_process().authkey() == given ? 0 : 1); });
  other.set_authkey(given);
  EXPECT_EQ(other.authkey(), given);
  EXPECT_EQ(exitcode_after(std::move(other)), 0);
  EXPECT_EQ(current_process().authkey(), own);
}

/// Runs `body` in a thread of its own, which has ended when this returns.
template <typename Body>
void in_thread(Body body) {
  std::thread(body).join();
}

// Tests with threads run in a child: to have had one changes how a process forks from then on.
TEST(Process, ADaemonOutlivesTheThreadThatStartedItAndNotTheProcess) {
  PROVES("0.9");
  tests::Pipe alive;
  Gate ready;
  Gate thread_is_gone;
  Gate still_there;
  const pid_t parent = tests::start_child([&] {
    std::optional<Process> daemon;
    in_thread([&] {
      daemon.emplace(ProcessOptions{.daemon = true}, [&] {
        ready.open();
        if (thread_is_gone.pass()) still_there.open();
        for (;;) pause();
      });
      daemon->start();
    });
    // A later child must not prolong the daemon's life by holding its parent's end of the lifeline.
    Process later([] { pause(); });
    later.start();
    alive.write.reset();
    if (ready.pass()) thread_is_gone.open();
    pause();
    return 0;
  });
  alive.write.reset();
  ASSERT_TRUE(still_there.pass());
  const auto children = tests::children_of(parent);
  ASSERT_EQ(children.size(), 2U);
  kill(parent, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(parent), -SIGKILL);
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
    return tests::state_of(children.front()) == '-' || tests::state_of(children.front()) == 'Z';
  }));
  kill(children.back(), SIGKILL);
  EXPECT_TRUE(tests::readable(alive.read.get()));
}

TEST(Process, JoinAndIsAliveInTwoThreadsAgree) {
  PROVES("cpython:test_process");
  EXPECT_EQ(tests::exitcode_in_child([] {
              for (int round = 0; round < 200; ++round) {
                Process child([] { leave(17); });
                child.start();
                std::thread joins([&] { child.join(); });
                std::thread asks([&] {
                  while (child.is_alive()) std::this_thread::yield();
                });
                joins.join();
                asks.join();
                if (child.is_alive() || child.exitcode() != 17) return 1;
              }
              return 0;
            }),
            0);
}

TEST(Process, StartsInAProgramWithThreads) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              std::atomic<bool> over = false;
              std::thread busy([&] {  // takes and leaves the allocator's locks
                while (!over) std::make_unique<std::string>(1000, 'x');
              });
              int failures = 0;
              for (int i = 0; i < 200; ++i) {
                Process child([] { leave(std::make_unique<std::string>(1000, 'y')->at(0)); });
                child.start();
                failures += !child.join(tests::patience()) || child.exitcode() != 'y';
              }
              over = true;
              busy.join();
              return failures;
            }),
            0);
}

TEST(Process, HasNoneOfItsParentsHandlers) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              std::signal(SIGUSR1, [](int) {});
              std::signal(SIGUSR2, SIG_IGN);
              std::signal(SIGRTMAX, [](int) {});
              const auto check = [] {
                leave(std::signal(SIGUSR1, SIG_DFL) == SIG_DFL &&
                              std::signal(SIGRTMAX, SIG_DFL) == SIG_DFL &&
                              std::signal(SIGUSR2, SIG_DFL) == SIG_IGN
                          ? 0
                          : 1);
              };
              if (exitcode_after(Process(check)) != 0) return 1;
              in_thread([] {});  // the other way to fork
              return exitcode_after(Process(check)) == 0 ? 0 : 2;
            }),
            0);
}

// What a child of a raw system call would lack: see clone.h.
TEST(Process, ItsRobustMutexesAreRobust) {
  RawValue<RobustMutex> mutex;
  Process child([&] {
    mutex->lock();
    Process grandchild([&] { leave(mutex->held_by_caller() ? 1 : 0); });
    if (exitcode_after(std::move(grandchild)) == 0) kill(getpid(), SIGKILL);
  });
  EXPECT_EQ(exitcode_after(std::move(child)), -SIGKILL);
  EXPECT_EQ(mutex->lock(tests::patience()), Acquired::owner_died);
  // Held by the starting thread: the child must not take it for its own.
  EXPECT_EQ(exitcode_after(Process([&] { leave(mutex->held_by_caller() ? 1 : 0); })), 0);
  EXPECT_TRUE(mutex->held_by_caller());
  mutex->unlock();
}

TEST(Process, EndsInGoodOrderWithBrokenStandardStreams) {
  PROVES("cpython:test_error_on_stdio_flush");
  EXPECT_EQ(tests::exitcode_in_child([] {
              close(STDIN_FILENO);
              close(STDOUT_FILENO);
              close(STDERR_FILENO);
              return exitcode_after(Process([] {})).value_or(99);
            }),
            0);
}

// The parent's loss is no failure of the child.
TEST(Process, IsNotToBlameForWhatItsParentCouldNotWrite) {
  PROVES("cpython:test_error_on_stdio_flush");
  EXPECT_EQ(tests::exitcode_in_child([] {
              const sys::Descriptor full(open("/dev/full", O_WRONLY | O_CLOEXEC));
              dup2(full.get(), STDOUT_FILENO);
              std::printf("into nothing");
              return exitcode_after(Process([] {})).value_or(99);
            }),
            0);
}

TEST(Process, WritesEveryStreamBeforeTheForkAndAtTheEnd) {
  tests::Pipe output;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              FILE* const stream = fdopen(output.write.get(), "w");
              std::fputs("parent ", stream);
              return exitcode_after(Process([&] { std::fputs("child ", stream); })).value_or(99);
            }),
            0);
  char text[100] = "";
  EXPECT_GT(read(output.read.get(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "parent child ");
}

}  // namespace
}  // namespace forkecho::mp
