#include "common/mp/fork.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "common/mp/child_registry.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/leak_check.h"

namespace forkecho::mp {
namespace {

using tests::Gate;

/// Shared, so that it counts in whichever process a handler runs.
const RawValue<std::atomic<int>> handled;

/// For a scope, `number` is caught by a handler that counts.
class Caught {
 public:
  explicit Caught(int number) : number_(number) {
    *handled = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { ++*handled; };
    sigaction(number_, &action, &before_);
  }
  ~Caught() { sigaction(number_, &before_, nullptr); }

 private:
  int number_;
  struct sigaction before_ {};
};

sigset_t current_mask() {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return mask;
}

bool is_blocked(int number) {
  const sigset_t mask = current_mask();
  return sigismember(&mask, number) == 1;
}

TEST(Fork, TellsParentAndChildApart) {
  RawValue<std::atomic<pid_t>> self;
  const pid_t child = fork_process();
  if (child == 0) {
    *self = getpid();
    _exit(5);
  }
  EXPECT_EQ(tests::exitcode_of(child), 5);
  EXPECT_EQ(*self, child);
}

TEST(Fork, TheChildBeginsWithEverySignalBlocked) {
  const pid_t child = tests::start_blocked_child(
      [] { return is_blocked(SIGTERM) && is_blocked(SIGCHLD) && is_blocked(SIGRTMAX) ? 0 : 1; });
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(Fork, TheParentsMaskIsAsBefore) {
  sigset_t before;
  sigset_t with_usr2;
  sigemptyset(&with_usr2);
  sigaddset(&with_usr2, SIGUSR2);
  pthread_sigmask(SIG_SETMASK, &with_usr2, &before);
  const pid_t child = fork_process();
  if (child == 0) _exit(is_blocked(SIGUSR1) ? 0 : 1);
  EXPECT_TRUE(is_blocked(SIGUSR2));
  EXPECT_FALSE(is_blocked(SIGUSR1));
  EXPECT_EQ(tests::exitcode_of(child), 0);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Fork, AnEarlySignalHitsTheChildAndNotTheParentsHandler) {
  for (const int number : {SIGTERM, SIGUSR1, SIGINT}) {
    const Caught caught(number);
    Gate sent;
    const pid_t child = tests::start_blocked_child([&] {
      if (!sent.pass()) return 1;
      reset_signal_handlers();
      if (*handled != 0) return 2;
      accept_signals();  // the signal that waits here ends the child
      return 3;
    });
    kill(child, number);
    sent.open();
    EXPECT_EQ(tests::exitcode_of(child), -number);
    EXPECT_EQ(*handled, 0);
  }
}

TEST(Fork, AnEarlySignalReachesAHandlerThatTheChildKeeps) {
  const Caught caught(SIGUSR1);
  Gate sent;
  const pid_t child = tests::start_blocked_child([&] {
    if (!sent.pass() || *handled != 0) return 1;
    accept_signals();
    return *handled == 1 ? 0 : 2;
  });
  kill(child, SIGUSR1);
  sent.open();
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(Fork, ResettingHandlersKeepsIgnoredSignalsIgnored) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const auto exitcode = tests::exitcode_in_child([] {  // start_child resets the handlers
    raise(SIGPIPE);
    return 0;
  });
  std::signal(SIGPIPE, before);
  EXPECT_EQ(exitcode, 0);
}

TEST(Fork, TheChildHasNoneOfItsParentsChildren) {
  const auto record = std::make_shared<ChildRecord>(ChildRecord{.pid = 815});
  ChildRegistry::add(record);
  EXPECT_EQ(tests::exitcode_in_child([] { return ChildRegistry::unreaped().empty() ? 0 : 1; }), 0);
  EXPECT_EQ(ChildRegistry::unreaped().size(), 1U);
  ChildRegistry::deliver(815, 0);
}

TEST(Fork, BothSidesHaveTheDescriptorsOfBefore) {
  const auto before = tests::current_holdings();
  const pid_t child =
      tests::start_child([&] { return tests::current_holdings() == before ? 0 : 1; });
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(tests::differences(before, tests::current_holdings()), "");
}

/// Makes every further fork of the calling process fail with EAGAIN; the limit spares root.
void forbid_processes() {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_NPROC, &none);
  if (geteuid() == 0) sys::check_syscall(setresuid(65534, 65534, 65534), "setresuid");
}

TEST(Fork, ARefusalIsAResultAndLeavesTheMask) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              forbid_processes();
              const pid_t child = fork_process();
              if (child == 0) _exit(0);
              return child == -1 && errno == EAGAIN && !is_blocked(SIGTERM) ? 0 : 1;
            }),
            0);
}

TEST(DieWithParent, TheChildEndsWithItsKilledParent) {
  tests::Pipe alive;
  Gate ready;
  const pid_t parent = tests::start_child([&] {
    const pid_t self = getpid();
    tests::start_child([&] {
      die_with_parent(self);
      ready.open();
      pause();
      return 0;
    });
    alive.write.reset();  // from here on only the grandchild holds it
    pause();
    return 0;
  });
  alive.write.reset();
  ASSERT_TRUE(ready.pass());
  EXPECT_FALSE(tests::readable(alive.read.get(), sys::Deadline::after({})));
  kill(parent, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(parent), -SIGKILL);
  EXPECT_TRUE(tests::readable(alive.read.get()));
}

/// The exit code of a grandchild that calls die_with_parent after its parent was killed and it was
/// adopted by this process.
std::optional<int> exitcode_of_late_orphan(pid_t other_parent) {
  const tests::AdoptOrphans adopt;
  Gate born;
  Gate orphaned_now;
  RawValue<std::atomic<pid_t>> grandchild;
  const pid_t parent = tests::start_child([&] {
    const pid_t self = getpid();
    *grandchild = tests::start_child([&] {
      if (!orphaned_now.pass()) return 1;
      die_with_parent(self, SIGKILL, other_parent);
      return 7;
    });
    born.open();
    pause();
    return 0;
  });
  EXPECT_TRUE(born.pass());
  kill(parent, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(parent), -SIGKILL);
  orphaned_now.open();
  return tests::exitcode_of(*grandchild);
}

TEST(DieWithParent, AChildThatIsTooLateLeavesAtOnce) {
  EXPECT_EQ(exitcode_of_late_orphan(0), orphaned);
}

TEST(DieWithParent, AKnownAdopterIsNoReasonToLeave) {
  EXPECT_EQ(exitcode_of_late_orphan(getpid()), 7);
}

}  // namespace
}  // namespace forkecho::mp
