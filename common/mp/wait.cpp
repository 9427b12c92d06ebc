#include "common/mp/wait.h"

#include <poll.h>

#include <cerrno>
#include <stdexcept>
#include <string>

#include "common/mp/connection.h"
#include "common/mp/current_process.h"
#include "common/mp/process.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp {
namespace {

std::vector<pollfd> entries_for(const std::vector<Waitable>& waitables) {
  std::vector<pollfd> entries;
  for (const Waitable& waitable : waitables)
    entries.push_back({.fd = waitable.descriptor(), .events = POLLIN, .revents = 0});
  return entries;
}

/// How many are ready; 0 at the deadline.
int poll_until(std::vector<pollfd>& entries, sys::Deadline deadline) {
  for (;;) {
    const int ready = poll(entries.data(), entries.size(), deadline.poll_timeout_ms());
    if (ready > 0 || (ready == 0 && deadline.passed())) return ready;
    if (ready == -1 && errno != EINTR) sys::throw_errno(errno, "poll");
  }
}

void check_can_be_waited_for(const std::vector<Waitable>& waitables, sys::Deadline deadline) {
  if (waitables.empty() && deadline.is_never())
    throw std::invalid_argument("a wait for nothing, without a deadline, would never end");
  for (const Waitable& waitable : waitables) {
    // poll overlooks negative ones.
    if (waitable.descriptor() < 0) throw std::invalid_argument("a wait for something closed");
  }
}

}  // namespace

Waitable::Waitable(Process& process) : descriptor_(process.sentinel()) {}
Waitable::Waitable(ParentProcess& parent) : descriptor_(parent.sentinel()) {}
Waitable::Waitable(const Connection& connection) : descriptor_(connection.fileno()) {}

std::vector<Waitable> wait(const std::vector<Waitable>& waitables, sys::Deadline deadline) {
  check_can_be_waited_for(waitables, deadline);
  auto entries = entries_for(waitables);
  poll_until(entries, deadline);
  std::vector<Waitable> ready;
  for (const pollfd& entry : entries) {
    if ((entry.revents & POLLNVAL) != 0)
      throw std::invalid_argument("a wait for descriptor " + std::to_string(entry.fd) +
                                  ", which is not open");
    if (entry.revents != 0) ready.emplace_back(entry.fd);
  }
  return ready;
}

}  // namespace forkecho::mp
