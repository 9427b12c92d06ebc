// EventLoop: sockets and timers for the coroutines of one worker process. A coroutine waits with
// `co_await loop.until(...)` and is resumed when its socket is ready or its deadline has passed.
//
// Why not Asio here: a load generator pays for its loop with every request. Asio tries each read
// before it waits (a system call that fails, since the reply cannot be there yet) and queues each
// completion; this loop registers a socket once, edge-triggered, and waits straight away: per
// request one send, one receive, and a share of one epoll_wait.
//
// Its timers are as fine as the kernel's (epoll_pwait2, since Linux 5.11; before that ppoll), since
// a plan in nanoseconds is not kept by a clock of milliseconds. The kernel is asked a little early,
// for it wakes late (timer_lead.h).
//
// Belongs to one process and thread, and is made after the fork. Throws std::system_error where the
// system refuses a descriptor or memory. In steady state nothing is allocated.
#pragma once

#include <sys/epoll.h>

#include <coroutine>
#include <cstdint>
#include <queue>
#include <vector>

#include "client/timer_lead.h"
#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::client {

/// What a coroutine of the loop returns: it starts at once, goes on by itself and frees itself at
/// its end. An exception that leaves it leaves EventLoop::run.
struct Detached {
  struct promise_type {
    Detached get_return_object() const { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const {}
    [[noreturn]] void unhandled_exception() const { throw; }
  };
};

/// An event that no socket has: another coroutine of the loop wakes this one (EventLoop::nudge).
inline constexpr std::uint32_t nudged = 1U << 27;  // a bit that epoll does not use

/// One coroutine's place to wait in, and the socket that it waits for, if any. Reusable for one
/// socket after another. Must live as long as the loop runs: its timer may outlast the wait.
class Waiting {
 public:
  Waiting() = default;
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  /// The events seen on the socket and not used up: edge-triggered, so they are told only once.
  bool has(std::uint32_t events) const { return (ready_ & events) != 0; }
  void set(std::uint32_t events) { ready_ |= events; }
  /// The socket gave or took less than it was asked for: there will be a new edge.
  void used_up(std::uint32_t events) { ready_ &= ~events; }
  /// For the next socket.
  void forget() { ready_ = 0; }

 private:
  friend class EventLoop;
  static constexpr sys::Clock::time_point no_time = sys::Clock::time_point::max();

  std::coroutine_handle<> coroutine_;
  std::uint32_t ready_ = 0;
  std::uint32_t awaited_ = 0;
  sys::Clock::time_point deadline_ = no_time;
  // When the loop looks at this next. A deadline that moves away (the usual case: each request has
  // a later one) leaves the timer where it is; it is set anew when it goes off too early.
  sys::Clock::time_point timer_ = no_time;
};

class EventLoop {
 public:
  EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Reports `events` of `fd`, edge-triggered, to `waiting` from now on, until fd is closed.
  void watch(int fd, Waiting& waiting, std::uint32_t events);
  /// Changes the events of a socket that is watched.
  void watch_also(int fd, Waiting& waiting, std::uint32_t events);

  /// `co_await loop.until(waiting, EPOLLIN, deadline)`: true when one of the events, an error or a
  /// hang-up is there; false when the deadline passed first. No events: sleeps until the deadline.
  auto until(Waiting& waiting, std::uint32_t events, sys::Clock::time_point deadline) {
    struct Awaiter {
      EventLoop& loop;
      Waiting& waiting;
      bool await_ready() const noexcept { return waiting.has(waiting.awaited_); }
      void await_suspend(std::coroutine_handle<> coroutine) {
        waiting.coroutine_ = coroutine;
        loop.set_timer(waiting);
      }
      bool await_resume() const noexcept { return waiting.has(waiting.awaited_); }
    };
    waiting.awaited_ = events == 0 ? 0 : events | EPOLLERR | EPOLLHUP;
    waiting.deadline_ = deadline;
    return Awaiter{*this, waiting};
  }

  /// Gives `waiting` the event `nudged`; a coroutine that waits for it goes on within this call.
  void nudge(Waiting& waiting);
  /// Moves the deadline of a wait that is under way, or does nothing when none is.
  void set_deadline(Waiting& waiting, sys::Clock::time_point deadline);

  /// Resumes coroutines as their events come, until stop.
  void run();
  /// Lets run return after the events at hand.
  void stop() { stopped_ = true; }

 private:
  struct Timer {
    sys::Clock::time_point when;
    Waiting* waiting;
    bool operator<(const Timer& other) const { return when > other.when; }  // the earliest on top
  };

  void set_timer(Waiting& waiting);
  int wait();
  int wait_for(const timespec& time);
  void handle(const epoll_event& event);
  void fire_timers();

  sys::Descriptor epoll_;
  std::priority_queue<Timer> timers_;
  TimerLead lead_;
  std::vector<epoll_event> events_;
  bool stopped_ = false;
  bool has_epoll_pwait2_ = true;
};

}  // namespace forkecho::client
