#include "server/reconfiguration.h"

#include <array>

namespace forkecho::server {
namespace {

/// An option that cannot change while the daemon runs.
struct Fixed {
  const char* name;
  bool (*same)(const Options& left, const Options& right);
  void (*keep)(Options& wanted, const Options& running);
};

template <auto member>
constexpr Fixed fixed(const char* name) {
  return {
      .name = name,
      .same = [](const Options& left,
                 const Options& right) { return left.*member == right.*member; },
      .keep = [](Options& wanted, const Options& running) { wanted.*member = running.*member; }};
}

bool logs_to_file(const Options& options) {
  return !options.log.file.empty();
}

/// One file may follow on another; standard error and a file cannot take each other's place, for
/// processes below write to the first themselves (log_relay.h).
constexpr Fixed fixed_log_file{
    .name = "--log-file",
    .same = [](const Options& left,
               const Options& right) { return logs_to_file(left) == logs_to_file(right); },
    .keep = [](Options& wanted, const Options& running) { wanted.log.file = running.log.file; }};

constexpr Fixed fixed_access_log{
    .name = "--access-log",
    .same =
        [](const Options& left, const Options& right) {
          return left.access_log.empty() == right.access_log.empty();
        },
    .keep = [](Options& wanted,
               const Options& running) { wanted.access_log = running.access_log; }};

/// Each worker has a queue of its own, made at the start.
constexpr Fixed fixed_queues{
    .name = "--pool-start with --accept reuseport",
    .same =
        [](const Options& left, const Options& right) {
          return !has_listeners_of_their_own(right) || left.pool == right.pool;
        },
    .keep = [](Options& wanted, const Options& running) { wanted.pool = running.pool; }};

constexpr std::array all_fixed{
    fixed<&Options::listen>("--listen"),
    fixed<&Options::mode>("--mode"),
    fixed<&Options::accept>("--accept"),
    fixed_queues,
    fixed<&Options::control>("--control"),
    fixed<&Options::pidfile>("--pidfile"),
    fixed<&Options::metrics>("--metrics"),
    fixed<&Options::final_status>("--final-status"),
    fixed_log_file,
    fixed_access_log,
};

}  // namespace

Reconfiguration keep_what_cannot_change(const Options& wanted, const Options& running) {
  Reconfiguration result{.options = wanted, .kept = {}};
  for (const Fixed& option : all_fixed) {
    if (option.same(wanted, running)) continue;
    option.keep(result.options, running);
    result.kept.emplace_back(option.name);
  }
  return result;
}

}  // namespace forkecho::server
