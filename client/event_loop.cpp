#include "client/event_loop.h"

#include <poll.h>

#include <utility>

#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

constexpr std::size_t events_at_once = 256;

void resume(std::coroutine_handle<>& waiting_coroutine) {
  const auto coroutine = std::exchange(waiting_coroutine, {});
  try {
    coroutine.resume();
  } catch (...) {
    coroutine.destroy();  // one that an exception has left does not free itself
    throw;
  }
}

}  // namespace

EventLoop::EventLoop()
    : epoll_(sys::check_syscall(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      events_(events_at_once) {}

void EventLoop::watch(int fd, Waiting& waiting, std::uint32_t events) {
  epoll_event event{.events = events | EPOLLET, .data = {.ptr = &waiting}};
  sys::check_syscall(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

void EventLoop::watch_also(int fd, Waiting& waiting, std::uint32_t events) {
  epoll_event event{.events = events | EPOLLET, .data = {.ptr = &waiting}};
  sys::check_syscall(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event), "epoll_ctl");
}

void EventLoop::set_timer(Waiting& waiting) {
  if (waiting.deadline_ >= waiting.timer_) return;
  waiting.timer_ = waiting.deadline_;
  timers_.push({waiting.timer_, &waiting});
}

void EventLoop::nudge(Waiting& waiting) {
  waiting.ready_ |= nudged;
  if (waiting.coroutine_ && waiting.has(waiting.awaited_)) resume(waiting.coroutine_);
}

void EventLoop::set_deadline(Waiting& waiting, sys::Clock::time_point deadline) {
  if (!waiting.coroutine_) return;
  waiting.deadline_ = deadline;
  set_timer(waiting);
}

int EventLoop::wait() {
  const auto room = static_cast<int>(events_.size());
  if (timers_.empty()) return epoll_wait(epoll_.get(), events_.data(), room, -1);
  const auto wake = timers_.top().when - lead_.get();
  const auto left = sys::Deadline::at(wake).remaining();
  if (left == sys::Duration::zero()) return epoll_wait(epoll_.get(), events_.data(), room, 0);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
  const int count = wait_for({.tv_sec = static_cast<time_t>(seconds.count()),
                              .tv_nsec = static_cast<long>((left - seconds).count())});
  if (count == 0) lead_.saw(sys::Clock::now() - wake);
  return count;
}

int EventLoop::wait_for(const timespec& time) {
  const auto room = static_cast<int>(events_.size());
  if (has_epoll_pwait2_) {
    const int count = epoll_pwait2(epoll_.get(), events_.data(), room, &time, nullptr);
    if (count != -1 || errno != ENOSYS) return count;
    has_epoll_pwait2_ = false;
  }
  pollfd entry{.fd = epoll_.get(), .events = POLLIN, .revents = 0};
  ppoll(&entry, 1, &time, nullptr);
  return epoll_wait(epoll_.get(), events_.data(), room, 0);
}

void EventLoop::handle(const epoll_event& event) {
  auto& waiting = *static_cast<Waiting*>(event.data.ptr);
  waiting.ready_ |= event.events;
  if (waiting.coroutine_ && waiting.has(waiting.awaited_)) resume(waiting.coroutine_);
}

void EventLoop::fire_timers() {
  if (timers_.empty()) return;
  const auto now = sys::Clock::now();
  while (!timers_.empty() && timers_.top().when <= now) {
    const Timer timer = timers_.top();
    timers_.pop();
    Waiting& waiting = *timer.waiting;
    if (timer.when != waiting.timer_) continue;  // replaced by an earlier one
    waiting.timer_ = Waiting::no_time;
    if (!waiting.coroutine_) continue;
    if (waiting.deadline_ <= now) {
      resume(waiting.coroutine_);
    } else {
      set_timer(waiting);
    }
  }
}

void EventLoop::run() {
  while (!stopped_) {
    const int count = wait();
    if (count == -1 && errno != EINTR) sys::throw_errno(errno, "epoll_wait");
    for (int i = 0; i < count; ++i) handle(events_[static_cast<std::size_t>(i)]);
    fire_timers();
  }
  stopped_ = false;
}

}  // namespace forkecho::client
