// NotifyReceiver: plays the service manager's end of sd_notify(3): a datagram socket, and what was
// sent to it.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "tests/support/child.h"

namespace forkecho::tests {

class NotifyReceiver {
 public:
  /// At `path`, or at an abstract name of its own.
  explicit NotifyReceiver(const std::string& path = {})
      : variable_(path.empty() ? fresh_abstract_name() : path),
        socket_(sys::check_syscall(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")) {
    address_.sun_family = AF_UNIX;
    std::memcpy(address_.sun_path, variable_.data(), variable_.size());
    if (variable_[0] == '@') address_.sun_path[0] = '\0';
    sys::check_syscall(bind(socket_.get(), address(), length()), "bind");
  }

  /// What NOTIFY_SOCKET has to say.
  const std::string& variable() const { return variable_; }
  /// The next message; empty when none comes in time.
  std::string next(sys::Deadline deadline = patience()) {
    return readable(socket_.get(), deadline) ? take() : std::string();
  }
  /// What has come and was not read yet.
  std::vector<std::string> all() {
    std::vector<std::string> messages;
    while (readable(socket_.get(), sys::Deadline::immediately())) messages.push_back(take());
    return messages;
  }
  /// Sends "fill" to itself until nothing more finds room; how often that was.
  int fill() {
    const sys::Descriptor sender(
        sys::check_syscall(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
    int sent = 0;
    while (sendto(sender.get(), "fill", 4, MSG_DONTWAIT, address(), length()) == 4) ++sent;
    return sent;
  }

 private:
  static std::string fresh_abstract_name() {
    static int number = 0;
    return "@forkecho-test-" + std::to_string(getpid()) + "-" + std::to_string(++number);
  }
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t length() const {
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + variable_.size());
  }
  std::string take() {
    std::array<char, 4096> message;
    const ssize_t size =
        sys::check_syscall(recv(socket_.get(), message.data(), message.size(), 0), "recv");
    return {message.data(), static_cast<std::size_t>(size)};
  }

  std::string variable_;
  sockaddr_un address_{};
  sys::Descriptor socket_;
};

}  // namespace forkecho::tests
