#include "server/system_call_filter.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <set>
#include <stdexcept>
#include <system_error>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "common/sys/raw_syscall.h"
#include "server/ended_children.h"

namespace forkecho::server {
namespace {

using Rules = std::vector<CallRule>;

// The kernel looks at the lower half of an argument that is an int, and so do we.
constexpr std::uint64_t whole_int = 0xffff'ffff;

ArgumentRule equals(unsigned index, std::uint64_t value) {
  return {.index = index, .mask = whole_int, .value = value & whole_int};
}
ArgumentRule equals_long(unsigned index, std::uint64_t value) {
  return {.index = index, .mask = ~std::uint64_t{0}, .value = value};
}
ArgumentRule has(unsigned index, std::uint64_t bits) {
  return {.index = index, .mask = bits, .value = bits};
}
ArgumentRule lacks(unsigned index, std::uint64_t bits) {
  return {.index = index, .mask = bits, .value = 0};
}

/// To the allowed range as masks understand it: blocks of a power of two, on their own multiples.
void append_blocks(std::vector<ArgumentRule>& blocks, unsigned index, std::uint64_t first,
                   std::uint64_t end) {
  while (first < end) {
    std::uint64_t size = 1;
    while (first % (2 * size) == 0 && first + 2 * size <= end) size *= 2;
    blocks.push_back({.index = index, .mask = whole_int & ~(size - 1), .value = first});
    first += size;
  }
}

/// Every process but process 1, the supervisor, and groups of processes (0 and negative numbers).
std::vector<ArgumentRule> single_processes(unsigned index, pid_t supervisor) {
  constexpr std::uint64_t pid_end = 1 << 22;  // PID_MAX_LIMIT of 64-bit kernels
  const std::uint64_t left_out = supervisor > 1 ? static_cast<std::uint64_t>(supervisor) : 1;
  std::vector<ArgumentRule> blocks;
  append_blocks(blocks, index, 2, left_out);
  append_blocks(blocks, index, left_out + 1, pid_end);
  return blocks;
}

void operator+=(Rules& rules, const Rules& more) {
  rules.insert(rules.end(), more.begin(), more.end());
}

// --- the table
// --------------------------------------------------------------------------------------

/// The end, and what the kernel and the C library do unasked.
const Rules& to_exist() {
  static const Rules rules{
      {"exit"},
      {"exit_group"},
      {"rt_sigreturn"},
      {"restart_syscall"},
      {"rt_sigprocmask"},
      {"getpid"},
      {"gettid"},
      {"getppid"},
      {"getuid"},
      // The clock, where the kernel does not answer without a call.
      {"clock_gettime"},
      {"gettimeofday"},
      {"time"},
      // abort: of an assertion, or an exception that nobody caught.
      {"tgkill", {equals(2, SIGABRT)}},
      {"rt_sigaction", {equals(0, SIGABRT)}},
  };
  return rules;
}

/// Memory may grow and shrink, and never becomes program text. No file is mapped. What settle_in
/// has made read-only, the books of other processes, stays so: the allocator of a process without
/// threads needs no mprotect.
const Rules& to_use_memory() {
  static const Rules rules{
      {"brk"},
      {"mmap", {lacks(2, PROT_EXEC), has(3, MAP_ANONYMOUS)}},
      {"mprotect", {lacks(2, PROT_WRITE | PROT_EXEC)}},
      {"mremap"},
      {"munmap"},
      {"madvise"},
  };
  return rules;
}

/// Lines for the log and standard error, by the descriptors that are open.
const Rules& to_write() {
  static const Rules rules{{"write"}, {"writev"}};
  return rules;
}

/// One client: its bytes, its timeouts, its end.
const Rules& to_serve() {
  static const Rules rules{
      {"recvfrom"},
      {"sendto"},
      {"shutdown"},
      {"poll"},
      {"ppoll"},
      {"close"},
      {"ioctl", {equals(1, FIONREAD)}},
      {"fcntl", {equals(1, F_SETFL), equals(2, O_RDWR | O_NONBLOCK)}},  // finish_current_connection
  };
  return rules;
}

const Rules& to_accept() {
  static const Rules rules{
      {"accept4"},
      // What the drain demands of packets is lifted from accepted sockets (Listener::begin_drain).
      {"setsockopt", {equals(1, IPPROTO_IP), equals(2, IP_MINTTL)}},
      {"setsockopt", {equals(1, IPPROTO_IPV6), equals(2, IPV6_MINHOPCOUNT)}},
  };
  return rules;
}

/// Locks in shared memory (common/mp/futex.h), and waiting.
const Rules& to_wait() {
  static const Rules rules{{"futex"}, {"sched_yield"}, {"nanosleep"}, {"clock_nanosleep"}};
  return rules;
}

/// A child for each connection: fork and no thread, no name space; reaping; signals to single
/// processes.
Rules to_have_children(const FilterTerms& terms) {
  Rules rules{
      // mp::fork_onto
      {"clone", {equals_long(0, ended_signal())}},
      {"clone3", {}, ENOSYS},  // its flags lie in memory, where no filter can look
      {"waitid"},
      {"wait4"},
      {"rt_sigtimedwait"},
      {"read"},  // what spares announce
      // One of several acceptors waits so (accept_wait.h).
      {"epoll_wait"},
      {"epoll_pwait"},
      {"prctl", {equals(0, PR_SET_PDEATHSIG)}},
      {"setitimer", {equals(0, ITIMER_REAL)}},  // bounds an accept
  };
  for (const int signal : {SIGTERM, SIGUSR1, SIGKILL}) {
    for (const ArgumentRule& pids : single_processes(0, terms.supervisor))
      rules.push_back({"kill", {pids, equals(1, static_cast<std::uint64_t>(signal))}});
  }
  if (terms.strict_children) rules.push_back({"seccomp", {equals(0, SECCOMP_SET_MODE_FILTER)}});
  return rules;
}

/// Connections cross between processes over a pipe (common/mp/connection.h).
const Rules& to_pass_connections() {
  static const Rules rules{{"sendmsg"}};
  return rules;
}
const Rules& to_be_passed_connections() {
  static const Rules rules{{"recvmsg"}, {"getpeername"}};
  return rules;
}

const Rules& to_multiplex() {
  static const Rules rules{{"epoll_pwait"},
                           {"epoll_wait"},
                           {"epoll_ctl"},
                           // The spare descriptor that is taken back (shortage.h).
                           {"fcntl", {equals(0, STDOUT_FILENO), equals(1, F_DUPFD_CLOEXEC)}}};
  return rules;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::string_view widened_by = "sanitizers";
#elif defined(FORKECHO_COVERAGE)
constexpr std::string_view widened_by = "coverage";
#else
constexpr std::string_view widened_by;
#endif

/// What sanitizers and coverage do to write their reports: they read /proc, look at leaks from a
/// process that traces, write files. Still no program is started and nobody is connected to.
const Rules& to_be_observed() {
  static const Rules rules{
      {"open"},
      {"openat"},
      {"read"},
      {"pread64"},
      {"lseek"},
      {"readlink"},
      {"readlinkat"},
      {"newfstatat"},
      {"fstat"},
      {"stat"},
      {"statx"},
      {"access"},
      {"faccessat"},
      {"fcntl"},
      {"ftruncate"},
      {"mkdir"},
      {"getcwd"},
      {"getdents64"},
      {"dup"},
      {"dup2"},
      {"pipe2"},
      {"mmap"},
      {"mprotect"},
      {"mincore"},
      {"sigaltstack"},
      {"clone"},
      {"ptrace"},
      {"wait4"},
      {"prctl"},
      {"rt_sigaction"},
      {"futex"},
      {"sched_yield"},
      {"getrlimit"},
      {"prlimit64"},
      {"sched_getaffinity"},
      {"uname"},
      {"sysinfo"},
      {"getrandom"},
      {"tgkill"},
      {"nanosleep"},
      {"clock_nanosleep"},
      {"process_vm_readv"},
      {"arch_prctl"},
      {"getegid"},
      {"geteuid"},
      {"getgid"},
      {"write"},
      {"brk"},
      {"munmap"},
      {"madvise"},
      {"mremap"},
  };
  return rules;
}

// --- compiling
// --------------------------------------------------------------------------------------

struct ContextEnd {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ContextEnd>;

/// libseccomp's functions return a negative errno.
void check(int result, const char* what) {
  if (result < 0) sys::throw_errno(-result, what);
}

Context make_context() {
  Context context(seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (!context) sys::throw_errno(ENOMEM, "seccomp_init");
  check(seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
        "seccomp_attr_set");
  // A binary search by number; the kernel runs the program for every number at installation.
  check(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "seccomp_attr_set");
  return context;
}

/// The number of a call, negative for one that this architecture does not have.
int number_of(std::string_view call) {
  const int number = seccomp_syscall_resolve_name(std::string(call).c_str());
  if (number == __NR_SCMP_ERROR)
    throw std::invalid_argument("no system call is named " + std::string(call));
  return number;
}

void add(void* context, const CallRule& rule) {
  const int number = number_of(rule.call);
  if (number < 0) return;
  std::vector<scmp_arg_cmp> compared;
  for (const ArgumentRule& argument : rule.arguments) {
    compared.push_back({.arg = argument.index,
                        .op = SCMP_CMP_MASKED_EQ,
                        .datum_a = argument.mask,
                        .datum_b = argument.value});
  }
  const auto action = rule.refuse_with == 0
                          ? SCMP_ACT_ALLOW
                          : SCMP_ACT_ERRNO(static_cast<std::uint32_t>(rule.refuse_with));
  const int result = seccomp_rule_add_array(
      context, action, number, static_cast<unsigned>(compared.size()), compared.data());
  if (result != -EEXIST) check(result, "seccomp_rule_add");
}

std::vector<sock_filter> export_code(void* context) {
  const sys::Descriptor file(
      sys::check_syscall(memfd_create("filter", MFD_CLOEXEC), "memfd_create"));
  check(seccomp_export_bpf(context, file.get()), "seccomp_export_bpf");
  const auto size =
      static_cast<std::size_t>(sys::check_syscall(lseek(file.get(), 0, SEEK_END), "lseek"));
  std::vector<sock_filter> code(size / sizeof(sock_filter));
  const ssize_t got = sys::check_syscall(
      pread(file.get(), code.data(), code.size() * sizeof(sock_filter), 0), "pread");
  if (static_cast<std::size_t>(got) != size) sys::throw_errno(EIO, "pread");
  return code;
}

}  // namespace

std::string_view filter_is_widened_by() {
  return widened_by;
}

std::vector<CallRule> call_rules(Role role, const FilterTerms& terms) {
  Rules rules = to_exist();
  rules += to_write();
  rules += to_serve();
  if (role != Role::connection) {
    rules += to_accept();
    rules += to_use_memory();
    rules += to_wait();
  }
  switch (role) {
    case Role::acceptor:
      rules += to_have_children(terms);
      break;
    case Role::event_worker:
      rules += to_multiplex();
      break;
    case Role::passer:
      rules += to_pass_connections();
      break;
    case Role::passed_worker:
      rules += to_be_passed_connections();
      break;
    case Role::worker:
    case Role::exporter:
    case Role::connection:  // of the others it has the least: serve_connection needs no memory
      break;
  }
  if (!widened_by.empty()) rules += to_be_observed();
  return rules;
}

FilterProgram compile(const std::vector<CallRule>& rules) {
  const Context context = make_context();
  std::set<std::string_view> calls;
  for (const CallRule& rule : rules) {
    add(context.get(), rule);
    if (rule.refuse_with == 0 && number_of(rule.call) >= 0) calls.insert(rule.call);
  }
  return {.code = export_code(context.get()), .calls = static_cast<std::uint32_t>(calls.size())};
}

bool kernel_has_filters() {
  const std::uint32_t action = SECCOMP_RET_KILL_PROCESS;
  return sys::raw_syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

bool try_install(const FilterProgram& program) {
  const sock_fprog code{.len = static_cast<unsigned short>(program.code.size()),
                        .filter = const_cast<sock_filter*>(program.code.data())};
  // No code of strangers runs here that a processor's speculation would have to be kept from.
  const auto flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  return sys::raw_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &code) == 0;
}

void install(const FilterProgram& program) {
  if (!try_install(program)) sys::throw_errno(errno, "cannot install a filter of system calls");
}

}  // namespace forkecho::server
