#include "server/passer.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "common/sys/check_syscall.h"
#include "server/shortage.h"
#include "server/worker.h"

namespace forkecho::server {
namespace {

constexpr int accept_batch = 16;
constexpr auto resource_pause = Shortage::pause;

/// What a packet with a descriptor takes up of the pipe, rounded up (an sk_buff's truesize).
constexpr int packet_room = 1024;

void limit_room(int pipe) {
  const int room = passed_ahead * packet_room / 2;  // the kernel doubles it (socket(7), SO_SNDBUF)
  sys::check_syscall(setsockopt(pipe, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), "SO_SNDBUF");
}

class Passer {
 public:
  explicit Passer(const ProcessContext& context)
      : listeners_(context.listeners),
        pipe_(*context.passing),
        page_(context.page()),
        passed_(page_.slot.connections) {
    limit_room(pipe_.fileno());
    install_worker_signals(nullptr);
    // Signals stay blocked but in ppoll, so that none falls between a check and the wait.
    sigemptyset(&unblocked_);
  }

  void run() {
    page_.door.store(Door::open, std::memory_order_release);
    while (!done()) {
      wait();
      if (!pause_until_.passed()) continue;
      if (in_hand_) pass();
      if (!in_hand_) accept_clients();
    }
  }

 private:
  bool done() const {
    if (in_hand_) return false;
    return retired() || door_closed_ || (current_wish() >= Wish::drain && queue_empty_);
  }

  /// For clients, or for room in the pipe when there is one in hand.
  void wait() {
    std::array<pollfd, max_listeners> entries;
    nfds_t count = 0;
    if (!pause_until_.passed()) {
      // For the pause alone.
    } else if (in_hand_) {
      entries[count++] = {.fd = pipe_.fileno(), .events = POLLOUT, .revents = 0};
    } else {
      for (const Listener& listener : listeners_)
        entries[count++] = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
    }
    const timespec limit = longest_wait();
    ppoll(entries.data(), count, &limit, &unblocked_);
  }

  timespec longest_wait() const {
    if (!pause_until_.passed())
      return {.tv_sec = 0, .tv_nsec = sys::Duration(resource_pause).count()};
    // Draining, an empty queue is the end.
    const bool only_looks = current_wish() >= Wish::drain && !in_hand_;
    return {.tv_sec = only_looks ? 0 : 3600, .tv_nsec = 0};
  }

  void accept_clients() {
    bool found = false;
    for (const Listener& listener : listeners_) {
      for (int i = 0; i < accept_batch && !in_hand_; ++i) {
        if (!accept_one(listener)) break;
        found = true;
        pass();
      }
    }
    queue_empty_ = !found;
  }

  bool accept_one(const Listener& listener) {
    AcceptResult accepted = listener.accept();
    if (accepted.outcome == AcceptResult::Outcome::exhausted)
      pause("cannot accept", accepted.error);
    if (accepted.outcome == AcceptResult::Outcome::closed) door_closed_ = true;
    if (accepted.outcome != AcceptResult::Outcome::client) return false;
    in_hand_ = std::move(accepted.client.socket);
    return true;
  }

  void pass() {
    try {
      if (!pipe_.send_descriptor(in_hand_.get(), sys::Deadline::immediately())) return;
      passed_.add(1);
      in_hand_.reset();
    } catch (const std::system_error& error) {
      pause("cannot pass a connection on", error.code().value());
    }
  }

  void pause(const char* what, int error) {
    if (error == EMFILE && spare_.give_up()) return;
    pause_until_ = sys::Deadline::after(resource_pause);
    warning_.tell(what, error, "clients wait in the queue");
  }

  const std::span<const Listener> listeners_;
  mp::Connection& pipe_;
  ProcessPage& page_;
  Counter& passed_;  // shown, and a sign of life
  sigset_t unblocked_{};
  sys::Descriptor in_hand_;   // accepted, and there was no room to pass it on
  bool queue_empty_ = false;  // while draining: nobody waited at the last look
  bool door_closed_ = false;  // nobody will come any more
  sys::Deadline pause_until_ = sys::Deadline::immediately();
  RepeatedWarning warning_;
  SpareDescriptor spare_;
};

}  // namespace

void run_passer(const ProcessContext& context) {
  settle_in(context, "acceptor, passes connections on to workers");
  Passer passer(context);
  restrict_calls(context, Role::passer);
  passer.run();
}

}  // namespace forkecho::server
