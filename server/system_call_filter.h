// Which system calls a process below the supervisor may make, by role: a table (call_rules), and
// the program that the kernel runs for it (seccomp(2)), which libseccomp makes of it.
// Whoever makes another call is killed on the spot (SIGSYS) and counted as crashed.
//
// The supervisor compiles the programs once, before it has anybody to confine (confinement.h); a
// process installs its own with one system call when it is set up, and what it forks inherits it.
//
// A role needs one more call: add a line to its list in call_rules, with the arguments that it
// needs and no others, and one to the tests (allowed, and the nearest thing that stays forbidden).
// Calls that a process makes only while it sets itself up, before restrict_calls, need none.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace forkecho::server {

enum class Role {
  acceptor,       // fork mode's, and its children unless they have a filter of their own
  passer,         // accepts for the pool, and passes connections on
  worker,         // of the pool, and the iterative server
  passed_worker,  // of the pool, whose clients are passed to it
  event_worker,
  exporter,    // of metrics
  connection,  // a child of fork mode under --sandbox strict, on top of the acceptor's
};
inline constexpr std::size_t role_count = 7;

/// What an argument of a call must be: (argument & mask) == value.
struct ArgumentRule {
  unsigned index;  // from 0
  std::uint64_t mask;
  std::uint64_t value;
};

/// A call that is allowed if all its arguments are as they must be; or that fails with an error
/// instead of killing, since a library tries it and can do without.
struct CallRule {
  std::string_view call;
  std::vector<ArgumentRule> arguments = {};
  int refuse_with = 0;  // an errno; 0: allowed
};

struct FilterTerms {
  pid_t supervisor = 0;          // never to be signalled, like process 1
  bool strict_children = false;  // an acceptor's children install a second filter
};

/// The rules of a role. Pure.
std::vector<CallRule> call_rules(Role role, const FilterTerms& terms);

/// Sanitizers and coverage make calls of their own; builds with them allow those, too. Empty in
/// others, else what widens the filter.
std::string_view filter_is_widened_by();

/// A filter ready to be installed: plain data, which may cross between processes.
struct FilterProgram {
  std::vector<sock_filter> code;
  std::uint32_t calls = 0;  // how many it allows, in full or in part
};

/// Compiles `rules`. Calls that this machine's architecture does not have are passed over. Throws
/// std::system_error, std::invalid_argument for a call that libseccomp has never heard of.
FilterProgram compile(const std::vector<CallRule>& rules);

/// True where the kernel knows filters that kill the process (Linux 4.14 with CONFIG_SECCOMP; not
/// under valgrind or qemu).
bool kernel_has_filters();

/// From now on, and for good, this process and its descendants obey `program`. For a process
/// without other threads that has no_new_privs or CAP_SYS_ADMIN. False with errno when the system
/// refuses. Async-signal-safe.
bool try_install(const FilterProgram& program);
/// The same, throwing std::system_error.
void install(const FilterProgram& program);

}  // namespace forkecho::server
