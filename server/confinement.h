// Confinement: what acceptors and workers give up before they meet a client: root's identity, the
// file system, capabilities, the hope of new privileges, core dumps, and system calls that their
// role does not need (system_call_filter.h). Each gives it up once; what it forks inherits it.
//
// The supervisor makes one Confinement before it starts anybody: names are looked up while the file
// system is there to be looked up in, the filters are compiled, and everything is tried out, so
// that what cannot work is one line at the start and not a worker that never comes. Compiling and
// trying happen in a process of their own, which leaves nothing on the heap that every later fork
// would copy.
#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <string>

#include "server/options.h"
#include "server/system_call_filter.h"

namespace forkecho::server {

/// What cannot be asked for by user `caller`, in one line; empty when all can.
std::string find_contradiction(const ConfinementOptions& options, uid_t caller);

/// Whom to run as. Empty: as before.
struct Identity {
  std::optional<uid_t> user = {};
  std::optional<gid_t> group = {};
  bool operator==(const Identity&) const = default;
};
/// Looks the names up in /etc/passwd and /etc/group, and nowhere else: a static program can ask no
/// other service. Throws FatalError (config) with the remedy.
Identity find_identity(const ConfinementOptions& options);

class Confinement {
 public:
  /// Throws FatalError when what is asked for is not to be had. Where the kernel has no filters it
  /// warns and goes on without; with `strict` it throws.
  explicit Confinement(const ConfinementOptions& options);

  /// Identity, root directory, capabilities, limits: once, at a process's beginning. It loses its
  /// wish to die with its parent (PR_SET_PDEATHSIG), which is to be made known afterwards. Throws
  /// std::system_error.
  void give_up_privileges() const;
  /// The filter of `role`: once, when the process has set itself up. Throws std::system_error.
  void restrict_calls(Role role) const;
  /// For fork mode's children under `strict`, to install; else none.
  const FilterProgram* connection_filter() const;

  const Identity& identity() const { return identity_; }
  const ConfinementOptions& options() const { return options_; }
  /// Why there is no filter although one is asked for; else empty.
  std::string_view filter_is_off_because() const;
  /// Different calls that `role` may make; 0: all.
  std::uint32_t calls_of(Role role) const { return filters_[index_of(role)].calls; }

 private:
  static std::size_t index_of(Role role) { return static_cast<std::size_t>(role); }
  bool has_filters() const { return options_.sandbox != Sandbox::off && kernel_has_filters_; }
  void prepare();
  void compile_filters(const FilterTerms& terms);

  ConfinementOptions options_;
  Identity identity_;
  bool kernel_has_filters_ = true;
  std::array<FilterProgram, role_count> filters_;
};

/// What binds a process, as the kernel tells it.
struct ConfinementInForce {
  uid_t user = 0;
  gid_t group = 0;
  std::uint64_t capabilities = 0;  // effective or to be had (permitted): a bit each
  bool no_new_privs = false;
  bool filtered = false;  // system calls are
};
/// Of /proc/PID/status; empty when the process has gone.
std::optional<ConfinementInForce> read_confinement(pid_t pid);

/// For `status`: what was asked for, and what holds of one process.
struct ConfinementStatus {
  std::string sandbox = {};  // on, strict, off; "off (kernel)" where there are no filters to be had
  std::string user = {};     // a name where one was given, else the number
  std::string group = {};
  std::string chroot = {};        // empty: the supervisor's root
  std::string capabilities = {};  // "none", or their bits in hexadecimal digits
  bool no_new_privs = false;
  std::uint32_t system_calls = 0;  // different ones that are allowed; 0: all
  std::string widened_by = {};     // what build's filter allows more; empty: none
};
/// `process`: one that `confinement` binds in the part of `role`, or 0 while there is none.
ConfinementStatus confinement_status(const Confinement& confinement, Role role, pid_t process);

}  // namespace forkecho::server
