// ScriptedServer: a server on a port of 127.0.0.1 that does with each connection what a test says,
// in a process of its own, one connection after the other. For servers that are not as they should
// be.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "common/mp/process.h"
#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "common/sys/socket_address.h"

namespace forkecho::tests {

class ScriptedServer {
 public:
  /// `script(int socket)` is called for each connection; the socket is closed after it.
  template <typename Script>
  explicit ScriptedServer(Script script)
      : listener_(listen_somewhere()), process_([this, script] {
          for (;;) {
            const sys::Descriptor client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (client) script(client.get());
          }
        }) {
    process_.set_daemon(true);
    process_.start();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    process_.kill();
    process_.join();
  }

  std::string target() const { return sys::SocketAddress::local(listener_.get()).to_string(); }

 private:
  static sys::Descriptor listen_somewhere() {
    const auto address = sys::resolve("127.0.0.1:0").addresses.at(0);
    sys::Descriptor fd(
        sys::check_syscall(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    sys::check_syscall(bind(fd.get(), address.get(), address.length()), "bind");
    sys::check_syscall(listen(fd.get(), 64), "listen");
    return fd;
  }

  sys::Descriptor listener_;
  mp::Process process_;
};

/// A target of 127.0.0.1 at which nobody listens.
inline std::string unanswered_target() {
  return ScriptedServer([](int) {}).target();
}

}  // namespace forkecho::tests
