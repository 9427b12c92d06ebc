// What the command line and the configuration file say, checked and ready to use.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/log/log.h"
#include "common/sys/deadline.h"
#include "server/cidr.h"
#include "server/uppercase.h"

namespace forkecho::server {

enum class Mode {
  iterative,  // one connection at a time
  fork,       // a child process per connection
  pool,       // pre-forked workers, one connection each at a time
  event,      // pre-forked workers, many connections each
};
std::optional<Mode> parse_mode(std::string_view name);
std::string_view to_string(Mode mode);

/// Who accepts in the pool (README, "Who accepts").
enum class Accept {
  shared,     // every worker, from one queue; the kernel wakes one
  lock,       // one worker after the other, under a lock
  passing,    // an acceptor, which passes the connections to the workers
  reuseport,  // every worker, from a queue of its own
};
std::optional<Accept> parse_accept(std::string_view name);
std::string_view to_string(Accept accept);

/// What happens to a connection that would exceed --max-connections.
enum class WhenFull {
  wait,    // it stays in the kernel's backlog until there is room
  refuse,  // it is accepted, closed and counted
};
std::optional<WhenFull> parse_when_full(std::string_view name);
std::string_view to_string(WhenFull when_full);

/// Sizes of the pool in processes, as in Apache's prefork: min_spare <= max_spare, all <= max.
struct PoolSizes {
  unsigned start;
  unsigned min_spare;
  unsigned max_spare;
  unsigned max;
  bool operator==(const PoolSizes&) const = default;
};
/// The defaults for a machine with `processors` (at least 1).
PoolSizes default_pool_sizes(unsigned processors);

/// As many acceptors as --acceptors may ask for.
inline constexpr unsigned max_acceptors = 64;
/// How many accepting processes fork mode has on a machine with `processors` (at least 1) when
/// nobody says.
unsigned default_acceptors(unsigned processors);

/// Zero: off.
struct Timeouts {
  sys::Duration first_byte{0};
  sys::Duration idle{0};
  sys::Duration write = std::chrono::seconds(30);
  sys::Duration lifetime{0};
  sys::Duration drain = std::chrono::seconds(30);
  sys::Duration stress{0};  // at most so much for first byte and idle while nearly full (stress.h)
};

/// Who is let in, beside max_connections.
struct AdmissionOptions {
  std::uint32_t max_per_source = 0;  // connections of one source (source.h); 0: off
  std::uint32_t accept_rate = 0;     // admissions per second; 0: off
  std::uint32_t accept_burst = 0;    // 0: as burst() says
  std::vector<Cidr> exempt;

  /// Admissions that may come at once: what was given, or those of a tenth of a second.
  std::uint32_t burst() const {
    return accept_burst != 0 ? accept_burst : std::max<std::uint32_t>(1, accept_rate / 10);
  }
};

/// How much is taken from the processes below the supervisor.
enum class Sandbox {
  off,  // nothing but what --user, --group and --chroot say
  on,   // capabilities, new privileges, core dumps, and system calls that their role does not need
  strict,  // and fork mode's children get a second, tighter filter of system calls each
};
std::optional<Sandbox> parse_sandbox(std::string_view name);
std::string_view to_string(Sandbox sandbox);

/// Names or numbers; empty: as the supervisor.
struct ConfinementOptions {
  std::string user = {};
  std::string group = {};
  std::string chroot = {};
  Sandbox sandbox = Sandbox::on;
};

struct Options {
  std::vector<std::string> listen{"127.0.0.1:9001"};
  Mode mode = Mode::fork;
  PoolSizes pool{};
  Accept accept = Accept::shared;
  unsigned acceptors = 1;  // 1 to max_acceptors; of fork mode
  int backlog = 4096;
  std::uint64_t connections_per_worker_life = 0;  // 0: no limit
  std::uint64_t life_jitter = 0;                  // a life is shortened by a random 0..life_jitter
  std::uint32_t max_connections = 10000;
  WhenFull when_full = WhenFull::wait;
  AdmissionOptions admission;
  Timeouts timeouts;
  Transform transform = Transform::unicode;
  std::string control;  // path of the control socket
  std::string pidfile;
  log::Options log;
  std::size_t status_slots = 1000;
  ConfinementOptions confinement;
  std::string metrics;       // where metrics are served; empty: nowhere
  std::string access_log;    // file; empty: none
  std::string final_status;  // file; empty: none
  sys::Duration upgrade_timeout = std::chrono::seconds(30);  // zero: none
  /// What these options were read from, to read it again; empty in tests.
  std::vector<std::string> command_line;
  std::string config;  // path of the configuration file that it names; empty: none
};

/// A pool whose workers serve one connection each and are forked ahead: an acceptor keeps them.
inline bool has_single_use_workers(const Options& options) {
  return options.mode == Mode::pool && options.connections_per_worker_life == 1;
}
/// Acceptors fork a child for each connection, or ahead of it.
inline bool forks_children(const Options& options) {
  return options.mode == Mode::fork || has_single_use_workers(options);
}
/// Whom a child is forked for is not known ahead: limits that depend on who comes, or when, leave
/// it to the acceptor to look at each client first.
inline bool forks_ahead(const Options& options) {
  return has_single_use_workers(options) && options.admission.max_per_source == 0 &&
         options.admission.accept_rate == 0;
}
/// A pool in which an acceptor passes connections on to the workers.
inline bool passes_connections(const Options& options) {
  return options.mode == Mode::pool && options.accept == Accept::passing;
}
/// A pool in which each worker has listeners of its own, one for each address.
inline bool has_listeners_of_their_own(const Options& options) {
  return options.mode == Mode::pool && options.accept == Accept::reuseport;
}

/// Where the control socket lies when nobody says: under /run/forkecho for root, else under
/// $XDG_RUNTIME_DIR/forkecho, else under /tmp/forkecho-UID.
std::string default_control_path();
/// Beside the control socket: the same name with another ending.
std::string beside_control(const std::string& control, std::string_view ending);

}  // namespace forkecho::server
