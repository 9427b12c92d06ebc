#include "server/system_call_filter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "common/mp/fork.h"
#include "common/mp/fork_onto.h"
#include "common/sys/raw_syscall.h"
#include "server/ended_children.h"
#include "tests/support/child.h"

namespace forkecho::server {
namespace {

using sys::raw_syscall;
using tests::exitcode_in_child;

constexpr int lived = 7;

const std::vector<Role> every_role{Role::acceptor,      Role::passer,       Role::worker,
                                   Role::passed_worker, Role::event_worker, Role::exporter,
                                   Role::connection};
static_assert(role_count == 7, "each role is tested");

FilterTerms terms() {
  return {.supervisor = getpid()};
}

/// What became of a child that confined itself to `role` and then acted: `lived`, or -SIGSYS.
std::optional<int> fate(Role role, const std::function<void()>& act, FilterTerms filter_terms) {
  const FilterProgram program = compile(call_rules(role, filter_terms));
  return exitcode_in_child([&] {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    install(program);
    act();
    return lived;
  });
}

std::optional<int> fate(Role role, const std::function<void()>& act) {
  return fate(role, act, terms());
}

struct Act {
  std::string name;
  std::function<void()> act;
};

void PrintTo(const Act& act, std::ostream* out) {
  *out << act.name;
}

std::string name_of_act(const testing::TestParamInfo<Act>& info) {
  return info.param.name;
}

/// A system call by its number, so that no library stands between.
template <typename... Args>
std::function<void()> call(long number, Args... args) {
  return [=] { raw_syscall(number, args...); };
}

class ForbiddenToAll : public testing::TestWithParam<Act> {
 protected:
  void SetUp() override {
    if (!kernel_has_filters()) GTEST_SKIP() << "this kernel has no filters";
    if (!filter_is_widened_by().empty()) GTEST_SKIP() << "widened for " << filter_is_widened_by();
  }
};

TEST_P(ForbiddenToAll, EndsTheProcess) {
  for (const Role role : every_role) {
    EXPECT_EQ(fate(role, GetParam().act), -SIGSYS) << static_cast<int>(role);
  }
}

const long fork_flags = ended_signal();
constexpr auto no_text = static_cast<const char*>(nullptr);

INSTANTIATE_TEST_SUITE_P(
    SystemCallFilter, ForbiddenToAll,
    testing::Values(
        Act{"execve", call(SYS_execve, "/bin/true", nullptr, nullptr)},
        Act{"execveat", call(SYS_execveat, -1, "/bin/true", nullptr, nullptr, 0)},
        Act{"openat", call(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY)},
        Act{"openat2", call(SYS_openat2, AT_FDCWD, "/etc/passwd", nullptr, 0)},
        Act{"open_by_handle_at", call(SYS_open_by_handle_at, -1, nullptr, 0)},
        Act{"newfstatat", call(SYS_newfstatat, AT_FDCWD, "/etc/passwd", nullptr, 0)},
        Act{"getdents64", call(SYS_getdents64, 0, nullptr, 0)},
        Act{"socket", call(SYS_socket, AF_INET, SOCK_STREAM, 0)},
        Act{"socketpair", call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, nullptr)},
        Act{"connect", call(SYS_connect, 0, nullptr, 0)},
        Act{"bind", call(SYS_bind, 0, nullptr, 0)}, Act{"listen", call(SYS_listen, 0, 1)},
        Act{"ptrace", call(SYS_ptrace, PTRACE_TRACEME, 0, nullptr, nullptr)},
        Act{"process_vm_writev", call(SYS_process_vm_writev, 1, nullptr, 0, nullptr, 0, 0)},
        Act{"pidfd_getfd", call(SYS_pidfd_getfd, 0, 0, 0)},
        Act{"kill_process_1", call(SYS_kill, 1, SIGTERM)},
        Act{"kill_everybody", call(SYS_kill, -1, SIGTERM)},
        Act{"kill_own_group", call(SYS_kill, 0, SIGTERM)},
        Act{"kill_a_group", call(SYS_kill, -getpgrp() - 1000000, SIGTERM)},
        Act{"kill_the_supervisor", [] { raw_syscall(SYS_kill, getppid(), SIGTERM); }},
        Act{"kill_with_another_signal", call(SYS_kill, 4'000'000, SIGSTOP)},
        Act{"tgkill_with_another_signal", call(SYS_tgkill, 1, 1, SIGTERM)},
        Act{"mprotect_exec", call(SYS_mprotect, nullptr, 0, PROT_READ | PROT_EXEC)},
        Act{"mmap_exec",
            call(SYS_mmap, nullptr, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)},
        Act{"mmap_file", call(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE, 0, 0)},
        Act{"memfd_create", call(SYS_memfd_create, "x", 0)},
        Act{"thread", call(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0)},
        Act{"new_user_namespace", call(SYS_clone, fork_flags | CLONE_NEWUSER, 0, 0, 0, 0)},
        Act{"child_that_ends_unsaid", call(SYS_clone, SIGCHLD, 0, 0, 0, 0)},
        Act{"sibling", call(SYS_clone, fork_flags | CLONE_PARENT, 0, 0, 0, 0)},
        Act{"unshare", call(SYS_unshare, CLONE_NEWUSER)}, Act{"setns", call(SYS_setns, 0, 0)},
        Act{"setuid", call(SYS_setuid, 0)}, Act{"capset", call(SYS_capset, nullptr, nullptr)},
        Act{"chroot", call(SYS_chroot, "/")}, Act{"mount", call(SYS_mount, no_text, "/")},
        Act{"setrlimit", call(SYS_setrlimit, RLIMIT_CORE, nullptr)},
        Act{"prlimit64", call(SYS_prlimit64, 0, RLIMIT_CORE, nullptr, nullptr)},
        Act{"prctl_dumpable", call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)},
        Act{"prctl_mm", call(SYS_prctl, PR_SET_MM, 0, 0, 0, 0)},
        Act{"another_filter", call(SYS_seccomp, 1, 0, nullptr)},
        Act{"ioctl_of_a_terminal", call(SYS_ioctl, 0, TIOCSTI, "x")},
        Act{"mprotect_write", call(SYS_mprotect, nullptr, 0, PROT_READ | PROT_WRITE)},
        Act{"fcntl_owner", call(SYS_fcntl, 0, F_SETOWN, 1)},
        Act{"setsockopt_filter", call(SYS_setsockopt, 0, SOL_SOCKET, SO_ATTACH_FILTER, nullptr, 0)},
        Act{"sendmmsg", call(SYS_sendmmsg, 0, nullptr, 0, 0)},
        Act{"io_uring", call(SYS_io_uring_setup, 1, nullptr)},
        Act{"bpf", call(SYS_bpf, 0, nullptr, 0)},
        Act{"perf_event_open", call(SYS_perf_event_open, nullptr, 0, -1, -1, 0)},
        Act{"userfaultfd", call(SYS_userfaultfd, 0)},
        Act{"add_key", call(SYS_add_key, no_text, no_text, nullptr, 0, 0)},
        Act{"unlinkat", call(SYS_unlinkat, AT_FDCWD, "/nowhere", 0)},
        Act{"an_unknown_number", call(4242)}),
    name_of_act);

/// The compat entry has other numbers: 11 is execve there, and munmap here.
TEST(SystemCallFilter, TheOtherAbiOfTheMachineIsClosed) {
#ifdef __x86_64__
  if (!filter_is_widened_by().empty()) GTEST_SKIP() << "widened for " << filter_is_widened_by();
  for (const Role role : every_role) {
    EXPECT_EQ(fate(role,
                   [] {
                     long result = 20;  // getpid
                     asm volatile("int $0x80" : "+a"(result) : : "memory");
                   }),
              -SIGSYS);
    EXPECT_EQ(fate(role, call(0x40000000L | SYS_getpid)), -SIGSYS) << "x32";
  }
#else
  GTEST_SKIP() << "of x86-64";
#endif
}

class AllowedToAll : public testing::TestWithParam<Act> {};

TEST_P(AllowedToAll, Lives) {
  for (const Role role : every_role) {
    EXPECT_EQ(fate(role, GetParam().act), lived) << static_cast<int>(role);
  }
}

void abort_quietly() {
  raw_syscall(SYS_close, STDERR_FILENO);
  std::abort();
}

INSTANTIATE_TEST_SUITE_P(
    SystemCallFilter, AllowedToAll,
    testing::Values(Act{"serving",
                        [] {
                          raw_syscall(SYS_recvfrom, -1, nullptr, 0, 0, nullptr, nullptr);
                          raw_syscall(SYS_sendto, -1, nullptr, 0, 0, nullptr, 0);
                          pollfd entry{.fd = -1, .events = POLLIN, .revents = 0};
                          raw_syscall(SYS_poll, &entry, 1, 0);
                          int queued = 0;
                          raw_syscall(SYS_ioctl, -1, FIONREAD, &queued);
                          raw_syscall(SYS_fcntl, -1, F_SETFL, O_RDWR | O_NONBLOCK);
                          raw_syscall(SYS_shutdown, -1, SHUT_WR);
                          raw_syscall(SYS_close, -1);
                        }},
                    Act{"writing_a_line",
                        [] {
                          raw_syscall(SYS_write, -1, "", 0);
                          raw_syscall(SYS_writev, -1, nullptr, 0);
                        }},
                    Act{"reading_the_clock",
                        [] {
                          timespec time{};
                          raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
                        }},
                    Act{"unblocking_signals", [] { mp::accept_signals(); }}),
    name_of_act);

const std::vector<Role> roles_that_last{Role::acceptor,      Role::passer,       Role::worker,
                                        Role::passed_worker, Role::event_worker, Role::exporter};

TEST(SystemCallFilter, MemoryGrows) {
  for (const Role role : roles_that_last) {
    EXPECT_EQ(fate(role,
                   [] {
                     // Both ways of the allocator: the heap's end, and a mapping of its own.
                     for (const std::size_t size : {100'000UL, 64UL << 20}) {
                       std::vector<char> memory(size, 'x');
                       memory.resize(2 * size);
                     }
                   }),
              lived);
  }
}

TEST(SystemCallFilter, ExceptionsAreThrownAndCaught) {
  for (const Role role : roles_that_last) {
    EXPECT_EQ(fate(role,
                   [] {
                     try {
                       throw std::runtime_error(std::string(1000, 'x'));
                     } catch (const std::runtime_error&) {
                     }
                   }),
              lived);
  }
}

TEST(SystemCallFilter, AbortEndsAsAbort) {
  for (const Role role : every_role) EXPECT_EQ(fate(role, abort_quietly), -SIGABRT);
}

TEST(SystemCallFilter, AHandlerRunsAndReturns) {
  static volatile std::sig_atomic_t heard = 0;
  for (const Role role : every_role) {
    const FilterProgram program = compile(call_rules(role, terms()));
    EXPECT_EQ(exitcode_in_child([&] {
                signal(SIGALRM, [](int) { heard = 1; });
                const itimerval soon{.it_interval = {0, 1000}, .it_value = {0, 1000}};
                setitimer(ITIMER_REAL, &soon, nullptr);
                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                install(program);
                while (heard == 0) raw_syscall(SYS_poll, nullptr, 0, 10'000);
                return lived;
              }),
              lived);
  }
}

/// As an acceptor forks, and with its signal blocked as there.
pid_t fork_to(mp::ForkedFunction function) {
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, ended_signal());
  sigprocmask(SIG_BLOCK, &ended, nullptr);
  alignas(16) static std::array<char, 64 * 1024> stack;
  return mp::fork_onto(stack.data() + stack.size(), function, {}, ended_signal());
}

TEST(SystemCallFilter, AnAcceptorForksAndReapsAndSignalsItsChildren) {
  EXPECT_EQ(fate(Role::acceptor,
                 [] {
                   const pid_t first = fork_to([](const void*, long, void*) {
                     mp::die_with_parent(getppid());
                     pause();  // forbidden: it ends by the filter, if the signal is late
                     _exit(0);
                   });
                   kill(first, SIGKILL);
                   siginfo_t info{};
                   waitid(P_PID, static_cast<id_t>(first), &info, WEXITED | __WALL);
                   const pid_t second = fork_to([](const void*, long, void*) { _exit(3); });
                   waitid(P_PID, static_cast<id_t>(second), &info, WEXITED | __WALL);
                   if (info.si_status != 3) std::abort();
                 }),
            lived);
}

TEST(SystemCallFilter, Clone3LooksAsIfTheKernelDidNotKnowIt) {
  EXPECT_EQ(
      fate(Role::acceptor,
           [] {
             clone_args arguments{};
             arguments.flags = CLONE_NEWUSER;
             if (raw_syscall(SYS_clone3, &arguments, sizeof arguments) != -1 || errno != ENOSYS)
               std::abort();
           }),
      lived);
}

TEST(SystemCallFilter, OnlyAnAcceptorHasChildrenAndSignals) {
  if (!filter_is_widened_by().empty()) GTEST_SKIP() << "widened for " << filter_is_widened_by();
  for (const Role role : every_role) {
    if (role == Role::acceptor) continue;
    EXPECT_EQ(fate(role, [] { fork_to([](const void*, long, void*) { _exit(0); }); }), -SIGSYS);
    EXPECT_EQ(fate(role, call(SYS_kill, 4'000'000, SIGTERM)), -SIGSYS);
    EXPECT_EQ(fate(role, call(SYS_waitid, P_ALL, 0, nullptr, WEXITED | WNOHANG, nullptr)), -SIGSYS);
  }
}

TEST(SystemCallFilter, ConnectionsArePassedByThePasserAndTakenByItsWorkers) {
  if (!filter_is_widened_by().empty()) GTEST_SKIP() << "widened for " << filter_is_widened_by();
  for (const Role role : every_role) {
    EXPECT_EQ(fate(role, call(SYS_sendmsg, -1, nullptr, 0)),
              role == Role::passer ? lived : -SIGSYS);
    EXPECT_EQ(fate(role, call(SYS_recvmsg, -1, nullptr, 0)),
              role == Role::passed_worker ? lived : -SIGSYS);
  }
}

TEST(SystemCallFilter, AConnectionOfItsOwnAcceptsNobody) {
  const auto accept = call(SYS_accept4, -1, nullptr, nullptr, 0);
  EXPECT_EQ(fate(Role::connection, accept), -SIGSYS);
  for (const Role role : roles_that_last) EXPECT_EQ(fate(role, accept), lived);
}

TEST(SystemCallFilter, AStrictAcceptorsChildrenTakeTheSecondFilter) {
  if (!filter_is_widened_by().empty()) GTEST_SKIP() << "widened for " << filter_is_widened_by();
  const FilterTerms strict{.supervisor = getpid(), .strict_children = true};
  const FilterProgram second = compile(call_rules(Role::connection, strict));
  EXPECT_EQ(fate(
                Role::acceptor, [&] { install(second); }, strict),
            lived);
  EXPECT_EQ(fate(
                Role::acceptor,
                [&] {
                  install(second);
                  raw_syscall(SYS_getppid);
                  raw_syscall(SYS_accept4, -1, nullptr, nullptr, 0);
                },
                strict),
            -SIGSYS);
}

/// Signals go to any single process but two, whatever the two's numbers.
TEST(SystemCallFilter, ProcessesAreCountedOutExactly) {
  if (!filter_is_widened_by().empty()) GTEST_SKIP() << "widened for " << filter_is_widened_by();
  for (const pid_t supervisor : {1, 2, 3, 4, 5, 1023, 1024, 1025, 4'194'303}) {
    const auto matches = [&](pid_t pid) {
      for (const CallRule& rule : call_rules(Role::acceptor, {.supervisor = supervisor})) {
        if (rule.call != "kill" || rule.arguments[1].value != SIGTERM) continue;
        const ArgumentRule& block = rule.arguments[0];
        if ((static_cast<std::uint32_t>(pid) & block.mask) == block.value) return true;
      }
      return false;
    };
    for (const pid_t pid : {-4'194'304, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 1022, 1023, 1024, 1025,
                            1026, 4'194'302, 4'194'303}) {
      EXPECT_EQ(matches(pid), pid > 1 && pid != supervisor) << pid << " of " << supervisor;
    }
  }
}

TEST(SystemCallFilter, AMisspeltCallIsAnError) {
  EXPECT_THROW(compile({{"raed"}}), std::invalid_argument);
}

TEST(SystemCallFilter, ACallOfAnotherArchitectureIsPassedOver) {
  const FilterProgram program = compile({{"exit_group"}, {"sigreturn"}});  // i386's
  EXPECT_EQ(program.calls, 1U);
}

TEST(SystemCallFilter, ProgramsAreShort) {
  for (const Role role : every_role) {
    EXPECT_LT(compile(call_rules(role, terms())).code.size(), 1000U);
  }
}

}  // namespace
}  // namespace forkecho::server
