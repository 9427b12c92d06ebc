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
  /// Gives the answer, at once or later, at most once; of no effect when the asker has gone or the
  /// daemon's end has come. Never called: the asker sees the end of the stream.
  using Reply = std::function<void(std::string answer)>;
  using Handler = std::function<void(const std::string& request, Reply reply)>;

  /// Listens at `path` and answers. The caller holds the lock of the pid file, so that a socket
  /// file that is there is a dead daemon's. Throws std::system_error.
  ControlSocket(asio::io_context& context, const std::string& path, Handler handler);
  /// Takes over `listening` from a daemon that still answers there: shut until open is called.
  ControlSocket(asio::io_context& context, const std::string& path, Handler handler,
                sys::Descriptor listening);
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  /// Removes the socket file if it was this process that answered there last (open, leave).
  ~ControlSocket();

  int fd() const { return fd_; }
  /// Answers from now on, as the process that those who connect see as the daemon's (SO_PEERCRED).
  void open();
  /// Takes no further request; those who come wait in the queue for open, or for another process.
  void shut();
  /// Closes for good, and leaves the file to the process that has taken over.
  void leave();

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
  int fd_ = -1;  // the acceptor's
  bool ours_ = false;
  bool shut_ = true;
};

/// Whether `fd` is a socket that was bound to `path`.
bool is_bound_to(int fd, const std::string& path);

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
