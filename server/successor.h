// Successor: the new program's side of an upgrade (upgrade.h): it reports to the daemon that it
// replaces, and hears when that one's duties are its own.
//
// The predecessors, those that were replaced and still serve whom they had, are kept in sight by
// their pidfds: this daemon's end is not the end of the service before theirs.
//
// The supervisor alone uses it, main to report what kept it from starting. Not for threads.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/sys/descriptor.h"
#include "server/exit_code.h"

namespace forkecho::server {

class Successor {
 public:
  Successor(asio::io_context& context, sys::Descriptor channel);

  /// It serves; `taken` are the descriptors of the handover that it uses. `on_yours` is called when
  /// the duties are its own, be it because the old daemon said so, or because it died.
  void report_ready(const std::vector<int>& taken, std::function<void()> on_yours);
  /// The duties are taken up: the old daemon retires.
  void report_done();

 private:
  void wait_for_yours();

  asio::posix::stream_descriptor channel_;
  std::function<void()> on_yours_;
};

/// Tells the daemon at the other end of `channel` what keeps this one from starting; without effect
/// when there is none. Never throws.
void report_failure(const sys::Descriptor& channel, ExitCode code, const std::string& line);

/// Daemons that were replaced and are not gone yet.
class Predecessors {
 public:
  explicit Predecessors(std::vector<sys::Descriptor> pidfds) : pidfds_(std::move(pidfds)) {}
  /// Those that still live, by their pids. Forgets the others.
  std::vector<pid_t> alive();
  /// Sends `signal` to all that live.
  void tell(int signal) const;
  std::vector<int> descriptors() const;

 private:
  std::vector<sys::Descriptor> pidfds_;
};

}  // namespace forkecho::server
