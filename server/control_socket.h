// The control socket, both ends: a unix socket of mode 0600 on which `forkechod status` and `stop`
// ask the running daemon. A request is one line, the answer is text until the end of the stream.
//
//   status           -> the status as JSON
//   stop             -> "ok\n"; the daemon drains and ends
//   stop now         -> "ok\n"; the daemon ends at once
//
// The daemon answers its own user and root, and nobody else.
#pragma once

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <string>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::server {

/// The daemon's end. Lives in the supervisor's io_context; not for threads.
class ControlSocket {
 public:
  using Handler = std::function<std::string(const std::string& request)>;

  /// Listens at `path`. The caller holds the lock of the pid file, so that a socket file that is
  /// there is a dead daemon's. Throws std::system_error.
  ControlSocket(asio::io_context& context, const std::string& path, Handler handler);
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  ~ControlSocket();

 private:
  void accept_next();
  void accept();
  void begin_session(asio::local::stream_protocol::socket socket);
  void run_short();

  asio::local::stream_protocol::acceptor acceptor_;
  sys::Descriptor spare_;  // for a request to a daemon that has no descriptor left
  asio::steady_timer pause_;
  std::string path_;
  Handler handler_;
};

/// The other end: one request to the daemon at `path`.
class ControlClient {
 public:
  /// Throws FatalError(unavailable) when no daemon answers there.
  explicit ControlClient(const std::string& path);
  /// Sends `request` and returns the whole answer. Throws FatalError(unavailable) when it does not
  /// come within `deadline`.
  std::string ask(const std::string& request, sys::Deadline deadline);
  /// A descriptor that polls readable when the daemon's process has ended.
  sys::Descriptor daemon_sentinel() const;

 private:
  std::string path_;
  sys::Descriptor socket_;
};

}  // namespace forkecho::server
