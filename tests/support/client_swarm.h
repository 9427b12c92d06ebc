// ClientSwarm: load from processes of its own, one connection each at a time, that never pauses and
// writes down what became of every connection and request, from the client's side.
//
// Made by the crash and drain tests. The processes are gone when the object is.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"

namespace forkecho::tests {

/// What one client saw, or all of them together.
struct ClientCounts {
  std::uint64_t connected;       // handshakes that were complete
  std::uint64_t not_connected;   // connects that were refused, reset or came to nothing
  std::uint64_t replies;         // whole and right
  std::uint64_t wrong;           // a reply with other bytes
  std::uint64_t cut_short;       // a part of a reply, then the end
  std::uint64_t unanswered;      // request sent, no byte came, then an orderly end
  std::uint64_t silent;          // no reply and no end within a long time
  std::uint64_t resets;          // ECONNRESET, EPIPE
  std::uint64_t never_answered;  // connections that ended, however, without a single reply
  std::uint64_t bytes_received;
};

enum class Habit {
  hold,        // one connection, request after request
  fresh,       // connect, request, reply, half-close, end of file, again
  half_close,  // connect, request and half-close, reply, end of file, again
  reset,       // connect, request, reply, reset, again
  silent,      // connect, nothing for a moment, close, again
};

struct SwarmOptions {
  std::string target;
  unsigned holding = 4;  // clients of each habit
  unsigned fresh = 4;
  unsigned half_closing = 0;
  unsigned resetting = 0;
  unsigned silent = 0;
  /// Whether a client begins anew after its connection was ended by the server, or none was to be
  /// had; else it leaves.
  bool persists = true;
};

class ClientSwarm {
 public:
  explicit ClientSwarm(const SwarmOptions& options);
  ClientSwarm(const ClientSwarm&) = delete;
  ClientSwarm& operator=(const ClientSwarm&) = delete;
  ~ClientSwarm();

  /// Waits until every client has had `replies` replies more than now.
  bool wait_for_replies(std::uint64_t replies, sys::Deadline deadline = patience());
  /// Tells all clients to leave after the request that they wait for, and waits for them; false if
  /// one did not.
  bool stop(sys::Deadline deadline = patience());
  /// Waits until they have left by themselves.
  bool wait(sys::Deadline deadline = patience());
  ClientCounts totals() const;

 private:
  mp::RawValue<std::atomic<bool>> told_to_leave_;
  const std::vector<Habit> habits_;  // of each client
  mp::RawArray<ClientCounts> counts_;
  std::vector<mp::Process> clients_;
};

void PrintTo(const ClientCounts& counts, std::ostream* out);

}  // namespace forkecho::tests
