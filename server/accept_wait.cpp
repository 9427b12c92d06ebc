#include "server/accept_wait.h"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>

#include "common/sys/check_syscall.h"

namespace forkecho::server {
namespace {

using sys::check_syscall;

void watch(int epoll, int fd, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  check_syscall(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

}  // namespace

AcceptWait::AcceptWait(std::span<const Listener> listeners, int signals, int more,
                       Acceptors acceptors)
    : listeners_(listeners), signals_(signals), more_(more) {
  if (acceptors == Acceptors::one) return;
  epoll_ = sys::Descriptor(check_syscall(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
  watch(epoll_.get(), signals_, EPOLLIN);
  if (more_ >= 0) watch(epoll_.get(), more_, EPOLLIN);
  for (const Listener& listener : listeners_)
    watch(epoll_.get(), listener.fd(), EPOLLIN | EPOLLEXCLUSIVE);
}

AcceptWait::Heard AcceptWait::wait(bool for_clients, sys::Deadline deadline) {
  if (!epoll_) return poll_all(for_clients, deadline);
  if (!for_clients) {
    look_at_ = sys::Deadline::immediately();
    return poll_all(false, deadline);
  }
  if (look_at_.passed()) {
    look_at_ = sys::Deadline::after(unheard);
    const Heard heard = poll_all(true, sys::Deadline::immediately());
    if (heard.signals || heard.clients || heard.nothing_asked) return heard;
  }
  return wait_for_own(deadline);
}

AcceptWait::Heard AcceptWait::wait_for_own(sys::Deadline deadline) {
  std::array<epoll_event, max_listeners + 2> events;
  const int ready = sys::retry_on_interrupt([&] {
    return epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                      earlier(deadline, look_at_).poll_timeout_ms());
  });
  Heard heard;
  for (int i = 0; i < ready; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (fd == signals_) heard.signals = true;
    if (fd != signals_ && fd != more_) heard.clients = true;
  }
  return heard;
}

AcceptWait::Heard AcceptWait::poll_all(bool for_clients, sys::Deadline deadline) const {
  std::array<pollfd, max_listeners + 2> entries;
  std::size_t count = 0;
  entries[count++] = {.fd = signals_, .events = POLLIN, .revents = 0};
  if (more_ >= 0) entries[count++] = {.fd = more_, .events = POLLIN, .revents = 0};
  const std::size_t first_listener = count;
  if (for_clients) {
    for (const Listener& listener : listeners_)
      entries[count++] = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
  }
  const int ready = sys::retry_on_interrupt(
      [&] { return poll(entries.data(), count, deadline.poll_timeout_ms()); });
  // poll refuses more descriptors than RLIMIT_NOFILE allows (EINVAL), also such as are open.
  if (ready < 0) return {.nothing_asked = true};
  return {.signals = entries[0].revents != 0,
          .clients = std::any_of(entries.begin() + first_listener, entries.begin() + count,
                                 [](const pollfd& e) { return e.revents != 0; })};
}

}  // namespace forkecho::server
