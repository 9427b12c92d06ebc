#include "server/serve_connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "common/sys/deadline.h"
#include "common/sys/raw_syscall.h"
#include "server/stress.h"

namespace forkecho::server {
namespace {

using sys::Clock;
using sys::Deadline;

constexpr std::size_t chunk_size = 64 * 1024;
constexpr sys::Duration orderly_close_time = std::chrono::seconds(1);
constexpr std::size_t orderly_close_bytes = 16 * 1024 * 1024;
/// How long a client that reads slowly may take, in all, for the answers to what was received when
/// the daemon finishes.
constexpr sys::Duration finish_time = std::chrono::seconds(3);

constexpr std::size_t page = 4096;
/// Of its uppermost page what serving a small request takes; the rest of the page is for its data.
constexpr std::size_t stack_in_shared_page = 2048;
constexpr std::size_t stack_size = 32 * page + stack_in_shared_page;  // a signal's frame included

/// All that a serving process writes to, side by side: of each page that a child touches it gets a
/// copy, and a small request then touches one: the top of the stack, the flags, and the beginning
/// of the input share it.
struct alignas(page) WorkingMemory {
  char scratch[(Uppercaser::max_output(chunk_size) + page - 1) / page * page];
  char stack[stack_size];
  volatile std::sig_atomic_t finish_requested;
  volatile std::sig_atomic_t socket_and_one;  // the current socket + 1; 0: none
  char input[chunk_size];
};
WorkingMemory working;
static_assert(offsetof(WorkingMemory, finish_requested) % page == stack_in_shared_page);

Deadline deadline_unless_off(sys::Duration timeout) {
  return timeout == sys::Duration::zero() ? Deadline::never() : Deadline::after(timeout);
}

enum class Wait { ready, timed_out };

/// Waits for `events`; a signal ends the wait as if they had come: the caller's call must not
/// block, and its next wait has the same deadline.
Wait wait_for(int socket, short events, Deadline deadline) {
  pollfd entry{.fd = socket, .events = events, .revents = 0};
  const int ready = poll(&entry, 1, deadline.poll_timeout_ms());
  return ready == 0 && deadline.passed() ? Wait::timed_out : Wait::ready;
}

/// One client's connection, from the server's side.
class Conversation {
 public:
  Conversation(int socket, const ServeOptions& options, Meter& meter)
      : socket_(socket),
        timeouts_(options.timeouts),
        stress_(timeouts_.stress.count() > 0 ? options.stress : nullptr),
        meter_(meter),
        uppercaser_(options.transform),
        lifetime_(deadline_unless_off(timeouts_.lifetime)),
        waits_with_deadline_(stress_ != nullptr || timeouts_.first_byte.count() +
                                                           timeouts_.idle.count() +
                                                           timeouts_.lifetime.count() >
                                                       0) {}

  Ending run() {
    for (;;) {
      const ssize_t received = receive();
      if (over_) return *over_;
      if (received == 0) return end_of_stream();
      meter_.bytes_in.add(static_cast<std::uint64_t>(received));
      send_all(
          uppercaser_.feed({working.input, static_cast<std::size_t>(received)}, working.scratch));
      if (over_) return *over_;
      first_byte_seen_ = true;
    }
  }

 private:
  /// The number of bytes in working.input; 0 at the end of the client's stream. Otherwise sets
  /// over_.
  [[gnu::hot]] ssize_t receive() {
    const auto silent_since = waits_with_deadline_ ? Clock::now() : Clock::time_point{};
    for (;;) {
      if (finishing()) return receive_what_is_left();
      if (waits_with_deadline_ && !wait_for_request(silent_since)) return -1;
      const ssize_t received =
          sys::raw_syscall(SYS_recvfrom, socket_, working.input, sizeof working.input,
                           waits_with_deadline_ ? MSG_DONTWAIT : 0, nullptr, nullptr);
      if (received >= 0) return received;
      if (errno != EINTR && errno != EAGAIN) return reset_by_client();
    }
  }

  /// After finish_current_connection: what had been received by then, and no more, so that a client
  /// that never stops sending cannot hold up the end.
  ssize_t receive_what_is_left() {
    if (!left_to_answer_) {
      int queued = 0;
      ioctl(socket_, FIONREAD, &queued);
      left_to_answer_ = static_cast<std::size_t>(queued);
    }
    if (*left_to_answer_ == 0) {
      char next = 0;
      if (recv(socket_, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0) return 0;
      end_from_our_side(Ending::drain_timeout);
      return -1;
    }
    const ssize_t received = recv(socket_, working.input,
                                  std::min(sizeof working.input, *left_to_answer_), MSG_DONTWAIT);
    if (received < 0) return reset_by_client();
    *left_to_answer_ -= static_cast<std::size_t>(received);
    return received;
  }

  ssize_t reset_by_client() {
    over_ = Ending::served;
    return -1;
  }

  /// First byte or idle; when it passes. Under stress that is earlier (stress.h).
  struct Silence {
    Ending ending;
    Deadline deadline;
  };
  Silence silence_deadline(Clock::time_point since) const {
    const Timeouts timeouts = is_stressed() ? under_stress(timeouts_) : timeouts_;
    const bool is_first = !first_byte_seen_ && timeouts.first_byte.count() != 0;
    const sys::Duration timeout = is_first ? timeouts.first_byte : timeouts.idle;
    return {.ending = is_first ? Ending::first_byte_timeout : Ending::idle_timeout,
            .deadline = timeout.count() == 0 ? Deadline::never() : Deadline::at(since + timeout)};
  }

  bool is_stressed() const {
    return stress_ != nullptr && stress_->load(std::memory_order_relaxed);
  }

  /// Nobody wakes us when stress begins: where that can be, no wait is longer than it would then
  /// be.
  Deadline next_look_at_stress() const {
    return stress_ == nullptr || is_stressed() ? Deadline::never()
                                               : Deadline::after(timeouts_.stress);
  }

  bool wait_for_request(Clock::time_point silent_since) {
    for (;;) {
      // A client that never stops sending would else never let a wait time out.
      const bool too_old = lifetime_.passed();
      const Silence silence = silence_deadline(silent_since);
      const Deadline deadline =
          earlier(earlier(silence.deadline, lifetime_), next_look_at_stress());
      if (!too_old && wait_for(socket_, POLLIN, deadline) == Wait::ready) return true;
      if (lifetime_.passed()) {
        end_from_our_side(Ending::lifetime_timeout);
        return false;
      }
      if (silence.deadline.passed()) {
        end_from_our_side(silence.ending);
        return false;
      }
    }
  }

  [[gnu::hot]] Ending end_of_stream() {
    send_all(uppercaser_.finish(working.scratch));
    return over_.value_or(Ending::served);
  }

  /// The client goes on, we do not: the rest of a cut character goes back as it came.
  void end_from_our_side(Ending ending) {
    send_all(uppercaser_.finish(working.scratch));
    if (over_) return;
    close_in_order(socket_);
    over_ = ending;
  }

  [[gnu::hot]] void send_all(std::string_view data) {
    std::optional<Clock::time_point> stalled_since;
    while (!data.empty() && !over_) {
      const ssize_t sent = sys::raw_syscall(SYS_sendto, socket_, data.data(), data.size(),
                                            MSG_NOSIGNAL | MSG_DONTWAIT, nullptr, 0);
      if (sent > 0) {
        meter_.bytes_out.add(static_cast<std::uint64_t>(sent));
        data.remove_prefix(static_cast<std::size_t>(sent));
        stalled_since.reset();
      } else if (errno == EAGAIN) {
        if (!stalled_since) stalled_since = Clock::now();
        wait_for_room(*stalled_since);
      } else if (errno != EINTR) {
        reset_by_client();
      }
    }
  }

  void wait_for_room(Clock::time_point stalled_since) {
    const Deadline deadline =
        finishing() ? finish_deadline(stalled_since) : stall_deadline(stalled_since);
    if (wait_for(socket_, POLLOUT, deadline) == Wait::ready) return;
    over_ = finishing()          ? Ending::drain_timeout
            : lifetime_.passed() ? Ending::lifetime_timeout
                                 : Ending::write_timeout;
  }

  Deadline stall_deadline(Clock::time_point stalled_since) const {
    if (timeouts_.write == sys::Duration::zero()) return lifetime_;
    return earlier(Deadline::at(stalled_since + timeouts_.write), lifetime_);
  }

  /// A client that does not read may not hold up the end of the daemon for longer than this.
  Deadline finish_deadline(Clock::time_point stalled_since) {
    if (!finishing_since_) finishing_since_ = Clock::now();
    const auto start = std::max(stalled_since, *finishing_since_);
    return earlier(Deadline::at(start + orderly_close_time),
                   Deadline::at(*finishing_since_ + finish_time));
  }

  const int socket_;
  const Timeouts& timeouts_;
  const std::atomic<bool>* const stress_;
  Meter& meter_;
  Uppercaser uppercaser_;
  const Deadline lifetime_;
  const bool waits_with_deadline_;
  bool first_byte_seen_ = false;
  std::optional<std::size_t> left_to_answer_;
  std::optional<Clock::time_point> finishing_since_;  // seen first while the client was slow
  std::optional<Ending> over_;
};

}  // namespace

void* serving_stack() {
  return working.stack + sizeof working.stack;
}

[[gnu::hot]] Ending serve_connection(int socket, const ServeOptions& options, Meter& meter) {
  working.socket_and_one = socket + 1;
  if (finishing()) finish_current_connection();  // it came before the socket was known
  const Ending ending = Conversation(socket, options, meter).run();
  working.socket_and_one = 0;
  return ending;
}

void finish_current_connection() {
  working.finish_requested = 1;
  const int socket = working.socket_and_one - 1;
  // From now on a read that finds nothing returns, also one that starts only after this call. It is
  // this that closes the gap between a check of the flag and the wait.
  if (socket >= 0) fcntl(socket, F_SETFL, O_RDWR | O_NONBLOCK);
}

bool finishing() {
  return working.finish_requested != 0;
}

void close_in_order(int socket) {
  shutdown(socket, SHUT_WR);
  const Deadline deadline = Deadline::after(orderly_close_time);
  std::size_t discarded = 0;
  while (discarded < orderly_close_bytes && wait_for(socket, POLLIN, deadline) == Wait::ready) {
    const ssize_t received = recv(socket, working.input, sizeof working.input, MSG_DONTWAIT);
    if (received == 0) return;
    if (received > 0) discarded += static_cast<std::size_t>(received);
    if (received < 0 && errno != EAGAIN && errno != EINTR) return;
  }
}

}  // namespace forkecho::server
