// LogKeeper: the supervisor's side of the log and the access log: what the processes below write
// comes through its relays (log_relay.h) to the files that the supervisor alone has open; it opens
// them anew, and tells in the log itself what was lost of it.
//
// The supervisor alone has one, after both logs were opened and before it forks anybody. Nothing
// here waits. Not for threads.
#pragma once

#include <asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "server/book.h"
#include "server/log_relay.h"
#include "server/options.h"

namespace forkecho::server {

/// Lines that could not be written.
struct LostLines {
  std::uint64_t log = 0;
  std::uint64_t access_log = 0;
  bool operator==(const LostLines&) const = default;
};
/// The line that tells what was lost since `told`. Pure.
std::string describe_loss(const LostLines& lost, const LostLines& told);

class LogKeeper {
 public:
  /// From now on those below write through it. Throws std::system_error (EMFILE).
  explicit LogKeeper(asio::io_context& context);
  LogKeeper(const LogKeeper&) = delete;
  LogKeeper& operator=(const LogKeeper&) = delete;

  /// Passes on all that was written until now.
  void pass_on_all();
  /// Opens the files anew; `tell_others` is called when that was done, for those who write to the
  /// same files. The answer for the control socket: "ok\n", or "error: ...\n", and the old files
  /// stay in use.
  std::string reopen(const Options& options, const std::function<void()>& tell_others);
  /// On every tick: once the log can be written again, it says what could not. `totals`: those of
  /// all processes below.
  void tell_of_lost_lines(const BookTotals& totals);

 private:
  LogRelay log_relay_;
  LogRelay access_relay_;
  LostLines told_;
};

}  // namespace forkecho::server
