// Upgrade: the running daemon's side of replacing it by the program that lies at its path now. It
// starts that program with a handover (handover.h) and follows it over the channel until it is the
// daemon, or has failed. Successor (successor.h) is the other side.
//
// Made by the supervisor, which does what each step means for the daemon:
//
//   start     -> the new program runs, and opens what it needs
//   is_ready  -> the supervisor stops answering, and says take_over
//   replaced  -> the new one has taken up its duties: this one retires
//   failed    -> at any moment before that: nothing has changed; a new program that lives is killed
//
// The new program is a child, but not of the process tree: it outlives this one. Nothing blocks,
// but for the moment that a killed process takes to end. Not for threads.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/mp/process.h"
#include "common/sys/deadline.h"
#include "server/exit_code.h"
#include "server/handover.h"
#include "server/invocation.h"

namespace forkecho::server {

/// What the new program says of itself.
struct SuccessorReport {
  enum class Kind { ready, error, done };
  Kind kind = Kind::ready;
  std::vector<int> taken;  // ready: the descriptors of the handover that it uses
  ExitCode code = ExitCode::ok;
  std::string line;  // error
  bool operator==(const SuccessorReport&) const = default;
};
/// One message of the channel. Pure.
std::string encode(const SuccessorReport& report);
/// Empty on what encode does not write. Pure.
std::optional<SuccessorReport> decode_report(std::string_view message);
inline constexpr std::string_view yours = "yours";
/// No message is longer.
inline constexpr std::size_t longest_message = 4096;

class Upgrade : public std::enable_shared_from_this<Upgrade> {
 public:
  struct Events {
    std::function<void(const std::vector<int>& taken)> is_ready;
    std::function<void()> replaced;
    std::function<void(const std::string& why)> failed;
  };
  /// `timeout` bounds the time until each of ready and replaced; zero: no bound.
  Upgrade(asio::io_context& context, sys::Duration timeout, Events events);
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

  /// Starts the program; `handover` names this process's descriptors, but for the channel. Throws
  /// std::system_error when no process is to be had.
  void start(const Invocation& invocation, Handover handover);
  pid_t pid() const { return *process_->pid(); }
  /// After is_ready: the duties are the new one's. False when it is not there any more; then
  /// failed is called soon.
  bool take_over();
  /// Kills the new program; failed is called with `why`.
  void give_up(const std::string& why);

 private:
  void listen();
  void set_timer();
  void on_message();
  void on_report(const SuccessorReport& report);
  void on_end_of_stream();

  asio::posix::stream_descriptor channel_;
  asio::steady_timer timer_;
  sys::Duration timeout_;
  Events events_;
  std::optional<mp::Process> process_;
  bool ready_ = false;
  bool over_ = false;
};

}  // namespace forkecho::server
