// EchoDouble: a server for tests of the client, that answers right or goes wrong in one way of
// choice. It listens on a port of 127.0.0.1 that the kernel chooses, in a process of its own, which
// is gone when the object is.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "common/sys/descriptor.h"

namespace forkecho::testing {

enum class Answer {
  right,             // a-z in capitals
  flip_a_bit,        // right but for one bit of the last byte
  cut_short,         // half of the reply, then end of file
  twice,             // the reply, and at once the same again
  again_at_the_end,  // right, and some of it once more when the client half-closes
  never,             // reads, and is silent
  reset,             // reads the request, then resets the connection
  then_leave,        // right, and ends the connection after `requests_each` replies
  then_linger,       // right, but never ends a connection itself
  slowly,            // right, but a byte only every 20 ms
  then_reset,        // right, and resets the connection when the client half-closes
  flip_rarely,       // right but for one bit in every millionth byte of the whole
  freeze_once,       // right, and stops itself (SIGSTOP) once, at byte `freeze_at_byte`
};

struct DoubleOptions {
  Answer answer = Answer::right;
  std::size_t request_size = 64;     // what counts as one request
  unsigned requests_each = 1;        // see then_leave
  std::string unix_path{};           // listens here instead
  bool ipv6 = false;                 // on ::1 instead
  std::uint64_t freeze_at_byte = 0;  // see freeze_once
};

/// What the double saw; written by it alone.
struct DoubleBooks {
  std::atomic<std::uint64_t> accepted;
  std::atomic<std::uint64_t> ended;  // connections whose end of file was read
  std::atomic<std::uint64_t> bytes_in;
  std::atomic<std::uint64_t> bytes_out;
  std::atomic<std::uint64_t> flipped;  // see flip_rarely
};

class EchoDouble {
 public:
  explicit EchoDouble(DoubleOptions options = {});
  EchoDouble(const EchoDouble&) = delete;
  EchoDouble& operator=(const EchoDouble&) = delete;
  ~EchoDouble();

  /// "127.0.0.1:40112", or "unix:PATH".
  const std::string& target() const { return target_; }
  const DoubleBooks& books() const { return *books_; }
  void kill();
  pid_t pid() const { return process_.pid().value_or(-1); }
  /// SIGSTOP, SIGCONT and others.
  void signal(int number) { process_.signal(number); }

 private:
  DoubleOptions options_;
  sys::Descriptor listener_;
  std::string target_;
  mp::RawValue<DoubleBooks> books_;
  mp::Process process_;
};

/// An address of 127.0.0.1 at which nobody listens: its port is bound, so that nobody else can have
/// it.
class UnansweredTarget {
 public:
  UnansweredTarget();
  std::string text() const;

 private:
  sys::Descriptor reserved_;
};

}  // namespace forkecho::testing
