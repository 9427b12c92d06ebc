#include "server/client_source.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "common/log/log.h"
#include "common/mp/leave.h"
#include "server/shortage.h"
#include "server/worker.h"

namespace forkecho::server {
namespace {

bool is_draining() {
  return current_wish() >= Wish::drain;
}

/// All who accept from these listeners are woken as the kernel likes: one of those that block in
/// accept, everyone who polls.
class SharedListeners : public ClientSource {
 public:
  explicit SharedListeners(std::span<const Listener> listeners) : listeners_(listeners) {}

  AcceptResult next() override {
    if (listeners_.size() > 1) wait_for_any();
    AcceptResult nobody{.outcome = AcceptResult::Outcome::none, .client = {}};
    for (const Listener& listener : listeners_) {
      AcceptResult accepted = listener.accept();
      if (accepted.outcome == AcceptResult::Outcome::client) return accepted;
      if (accepted.outcome != AcceptResult::Outcome::none) nobody = std::move(accepted);
    }
    return nobody;
  }

 private:
  void wait_for_any() const {
    std::array<pollfd, max_listeners> entries;
    nfds_t count = 0;
    for (const Listener& listener : listeners_) {
      entries[count++] = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
    }
    poll(entries.data(), count, is_draining() ? 0 : -1);
  }

  std::span<const Listener> listeners_;
};

/// The same, one worker at a time.
class LockedListeners : public ClientSource {
 public:
  LockedListeners(std::span<const Listener> listeners, mp::Lock& lock)
      : listeners_(listeners), lock_(lock) {}

  AcceptResult next() override {
    // Draining, nobody waits for a client any more, so there is nothing to take turns for; and a
    // holder that is stopped would keep all the others from emptying the queue.
    if (is_draining()) return listeners_.next();
    if (broken_) mp::leave(lock_broken);
    if (!take_turn()) {
      // Told so while it waited for its turn, it looks all the same: it may be the last one.
      if (is_draining()) return listeners_.next();
      return {.outcome = AcceptResult::Outcome::none, .client = {}};
    }
    AcceptResult result = listeners_.next();
    end_turn();
    return result;
  }

 private:
  bool take_turn() {
    try {
      return lock_.acquire(sys::Deadline::after(patience)) != mp::Acquired::timed_out;
    } catch (const std::exception& error) {
      log::error("the accept lock is broken: {}", error.what());
      mp::leave(lock_broken);
    }
  }

  /// To look whether a signal has come: waiting for a lock is not ended by one.
  static constexpr auto patience = std::chrono::milliseconds(50);

  /// Whoever has come is served, whatever has become of the lock.
  void end_turn() {
    try {
      lock_.release();
    } catch (const std::exception& error) {
      log::error("the accept lock is broken: {}", error.what());
      broken_ = true;
    }
  }

  SharedListeners listeners_;
  mp::Lock& lock_;
  bool broken_ = false;
};

/// What an acceptor passes on. All workers wait at one end of the pipe, and the kernel gives each
/// client to one of them, in order.
class PassedClients : public ClientSource {
 public:
  /// A client that is passed to a process without a free descriptor is lost. One at a time needs
  /// one number, which is had by giving up the spare one before anybody comes.
  PassedClients(mp::Connection& pipe, Book& book) : pipe_(pipe), book_(book) {
    SpareDescriptor().give_up();
  }

  AcceptResult next() override {
    using Met = mp::Connection::Met;
    using Wait = mp::Connection::Wait;
    try {
      auto passed = pipe_.attempt_recv_descriptor(is_draining() ? Wait::no : Wait::within_patience);
      if (passed.met == Met::end_of_file)
        return {.outcome = AcceptResult::Outcome::closed, .client = {}};
      if (passed.met == Met::nothing) return {.outcome = AcceptResult::Outcome::none, .client = {}};
      return take(std::move(passed.descriptor));
    } catch (const std::system_error& error) {
      return lose(error.code().value());
    }
  }

 private:
  static AcceptResult take(sys::Descriptor socket) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    // Of a client that is gone already there is no address to be had.
    getpeername(socket.get(), reinterpret_cast<sockaddr*>(&storage), &length);
    return {.outcome = AcceptResult::Outcome::client,
            .client = {.socket = std::move(socket), .peer = PeerAddress::of(storage)}};
  }

  /// There was no descriptor free for it, and what was passed is not passed again.
  AcceptResult lose(int error) {
    book_.accepted.add(1);
    book_.record(Ending::crashed);
    return {.outcome = AcceptResult::Outcome::exhausted, .client = {}, .error = error};
  }

  mp::Connection& pipe_;
  Book& book_;
};

}  // namespace

std::unique_ptr<ClientSource> make_client_source(const ProcessContext& context) {
  if (context.accept_lock != nullptr)
    return std::make_unique<LockedListeners>(context.listeners, *context.accept_lock);
  if (context.passing != nullptr)
    return std::make_unique<PassedClients>(*context.passing, context.page().book);
  return std::make_unique<SharedListeners>(context.listeners);
}

}  // namespace forkecho::server
