#include "server/successor.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <utility>

#include "server/upgrade.h"

namespace forkecho::server {
namespace {

/// An error is the old daemon's death, which is seen as the end of the stream.
void send_report(int channel, const SuccessorReport& report) {
  const std::string message = encode(report);
  send(channel, message.data(), message.size(), MSG_NOSIGNAL);
}

bool has_ended(int pidfd) {
  pollfd entry{.fd = pidfd, .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) != 0;
}

/// From the kernel's description of the descriptor; -1 when the process is gone.
pid_t pid_of(int pidfd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(pidfd));
  for (std::string key; info >> key;) {
    if (key != "Pid:") continue;
    pid_t pid = -1;
    info >> pid;
    return pid;
  }
  return -1;
}

}  // namespace

Successor::Successor(asio::io_context& context, sys::Descriptor channel)
    : channel_(context, channel.release()) {}

void Successor::report_ready(const std::vector<int>& taken, std::function<void()> on_yours) {
  on_yours_ = std::move(on_yours);
  send_report(
      channel_.native_handle(),
      {.kind = SuccessorReport::Kind::ready, .taken = taken, .code = ExitCode::ok, .line = {}});
  wait_for_yours();
}

void Successor::wait_for_yours() {
  channel_.async_wait(
      asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& error) {
        if (error) return;
        std::array<char, longest_message> message;
        const ssize_t size =
            recv(channel_.native_handle(), message.data(), message.size(), MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) return wait_for_yours();
        // "yours", or the end of the stream: the old daemon has died.
        std::exchange(on_yours_, nullptr)();
      });
}

void Successor::report_done() {
  send_report(channel_.native_handle(),
              {.kind = SuccessorReport::Kind::done, .taken = {}, .code = ExitCode::ok, .line = {}});
  asio::error_code ignored;
  channel_.close(ignored);
}

void report_failure(const sys::Descriptor& channel, ExitCode code, const std::string& line) {
  if (!channel) return;
  send_report(channel.get(),
              {.kind = SuccessorReport::Kind::error, .taken = {}, .code = code, .line = line});
}

std::vector<pid_t> Predecessors::alive() {
  std::erase_if(pidfds_, [](const sys::Descriptor& pidfd) { return has_ended(pidfd.get()); });
  std::vector<pid_t> pids;
  for (const sys::Descriptor& pidfd : pidfds_) pids.push_back(pid_of(pidfd.get()));
  return pids;
}

void Predecessors::tell(int signal) const {
  for (const sys::Descriptor& pidfd : pidfds_)
    syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

std::vector<int> Predecessors::descriptors() const {
  std::vector<int> fds;
  for (const sys::Descriptor& pidfd : pidfds_) fds.push_back(pidfd.get());
  return fds;
}

}  // namespace forkecho::server
