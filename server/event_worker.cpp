#include "server/event_worker.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <new>
#include <unordered_map>
#include <vector>

#include "common/mp/step.h"
#include "common/sys/check_syscall.h"
#include "common/sys/process_title.h"
#include "server/access_log.h"
#include "server/event_session.h"
#include "server/gate.h"
#include "server/shortage.h"
#include "server/worker.h"

namespace forkecho::server {
namespace {

using TimePoint = sys::Clock::time_point;
using sys::check_syscall;

constexpr std::size_t chunk_size = 64 * 1024;
constexpr int accept_batch = 16;
/// Timeouts are kept to this precision: the sessions are looked through once in it.
constexpr auto sweep_period = std::chrono::milliseconds(50);
/// As in the acceptor.
constexpr auto last_call_after = std::chrono::seconds(4);

/// Slots of single connections, which the supervisor reads when this process was killed.
class ConnectionSlots {
 public:
  explicit ConnectionSlots(SlotTable* slots) : slots_(slots) {}

  /// None where there are none, or none is left.
  Slot* take(const PeerAddress& peer) {
    if (slots_ == nullptr) return nullptr;
    if (free_.empty()) {
      if (fresh_ == slots_->size()) return nullptr;
      free_.push_back(&(*slots_)[fresh_++]);
    }
    Slot* slot = free_.back();
    free_.pop_back();
    slot->pid.store(getpid(), std::memory_order_relaxed);
    slot->peer = peer;
    slot->meter.bytes_in.set(0);
    slot->meter.bytes_out.set(0);
    slot->connections.set(1);
    slot->enter(SlotState::serving);
    slots_->use(index_of(*slot));
    return slot;
  }
  void give_back(Slot* slot) {
    if (slot == nullptr) return;
    slot->state.store(SlotState::free, std::memory_order_relaxed);
    slots_->leave(index_of(*slot));
    free_.push_back(slot);
  }

 private:
  std::uint32_t index_of(const Slot& slot) const {
    return static_cast<std::uint32_t>(&slot - slots_->all().data());
  }

  SlotTable* slots_;
  std::size_t fresh_ = 0;
  std::vector<Slot*> free_;
};

class EventWorker {
 public:
  EventWorker(const ProcessContext& context, SlotTable* slots)
      : options_(context.options),
        listeners_(context.listeners),
        page_(context.page()),
        book_(page_.book),
        slot_(page_.slot),
        gate_(context, Accepting::polls, options_.max_connections),
        stress_(context.pages.admission.stress_word()),
        connection_slots_(slots),
        input_(chunk_size),
        scratch_(Uppercaser::max_output(chunk_size)),
        epoll_(check_syscall(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
    install_worker_signals(nullptr);
    // Signals stay blocked and are heard in epoll_pwait alone, so that none falls between the check
    // and the wait.
    sigemptyset(&unblocked_);
    slot_.pid.store(getpid(), std::memory_order_relaxed);
    slot_.enter(SlotState::idle);
    sys::set_process_title("forkechod: event worker");
  }

  void run() {
    page_.door.store(Door::open, std::memory_order_release);
    while (!done()) {
      follow_wish();
      shortage_.refresh();
      if (!shortage_.lasts()) spare_.take_back();
      if (retired()) page_.door.store(Door::shut, std::memory_order_release);
      watch_listeners(may_accept());
      wait_for_events();
      now_ = sys::Clock::now();
      handle_events();
      if (current_wish() == Wish::finish) finish_all();
      if (now_ >= next_sweep_) sweep();
      bury_ended();
    }
  }

 private:
  bool leaving() const { return current_wish() >= Wish::retire; }
  bool done() const {
    return leaving() && (queue_empty_ || door_closed_ || retired()) && sessions_.empty();
  }

  bool may_accept() { return !retired() && !shortage_.lasts() && !door_closed_ && gate_.is_open(); }

  void follow_wish() {
    const Wish wish = current_wish();
    if (wish >= Wish::drain) gate_.set_closing(Closing::draining);
    if (wish != Wish::finish) return;
    if (last_call_.is_never()) last_call_ = sys::Deadline::after(last_call_after);
    if (last_call_.passed()) gate_.set_closing(Closing::last_call);
  }

  void watch_listeners(bool wanted) {
    if (wanted == watching_listeners_) return;
    for (const Listener& listener : listeners_) {
      epoll_event event{.events = EPOLLIN | EPOLLEXCLUSIVE, .data = {.fd = listener.fd()}};
      check_syscall(
          epoll_ctl(epoll_.get(), wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener.fd(), &event),
          "epoll_ctl");
    }
    watching_listeners_ = wanted;
  }

  void wait_for_events() {
    const int count = epoll_pwait(epoll_.get(), events_.data(), static_cast<int>(events_.size()),
                                  timeout_ms(), &unblocked_);
    ready_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  }

  int timeout_ms() const {
    if (leaving() && !queue_empty_ && watching_listeners_) return 0;
    const bool must_sweep = !sessions_.empty() || shortage_.lasts() || !watching_listeners_;
    if (!must_sweep) return -1;
    const int sweep = static_cast<int>(sweep_period.count());
    if (watching_listeners_ || retired() || shortage_.lasts()) return sweep;
    const int look = gate_.look_again().poll_timeout_ms();
    return look < 0 ? sweep : std::min(sweep, look);
  }

  void handle_events() {
    for (std::size_t i = 0; i < ready_; ++i) {
      const epoll_event& event = events_[i];
      if (const Listener* listener = listener_of(event.data.fd)) {
        accept_from(*listener);
      } else {
        handle_session(event);
      }
    }
    // Asked, and not concluded from the events: a signal ends a wait without any, and of many some
    // are shown later. While sessions go on there is time for a last handshake that was under way.
    if (leaving() && watching_listeners_) queue_empty_ = !somebody_waits();
  }

  bool somebody_waits() const {
    return std::any_of(listeners_.begin(), listeners_.end(),
                       [](const Listener& l) { return l.has_waiting_client(); });
  }

  const Listener* listener_of(int fd) const {
    const auto found = std::find_if(listeners_.begin(), listeners_.end(),
                                    [fd](const Listener& l) { return l.fd() == fd; });
    return found == listeners_.end() ? nullptr : &*found;
  }

  void accept_from(const Listener& listener) {
    for (int i = 0; i < accept_batch && may_accept(); ++i) {
      if (gate_.before_accept().verdict != Admission::Verdict::admit) return;
      AcceptResult accepted = listener.accept();
      if (accepted.outcome != AcceptResult::Outcome::client) gate_.nobody_came();
      if (accepted.outcome == AcceptResult::Outcome::exhausted) run_short(listener, accepted.error);
      if (accepted.outcome == AcceptResult::Outcome::closed) door_closed_ = true;
      if (accepted.outcome != AcceptResult::Outcome::client) return;
      short_of_descriptors_ = false;
      FORKECHO_MP_STEP("event.accept.taken");
      book_.accepted.add(1);
      admit(std::move(accepted.client));
    }
  }

  void admit(AcceptedClient client) {
    const Admission admission = gate_.decide(client.peer);
    if (admission.verdict == Admission::Verdict::refuse)
      return gate_.refuse(std::move(client), admission.reason);
    if (const int error = take_in(client)) {
      gate_.ended(gate_.source());
      shortage_.begin("cannot take a connection in", error, "it is closed");
      book_refusal(client.peer);
      shortage_.see_off(std::move(client));
      return;
    }
    FORKECHO_MP_STEP("event.serve.begun");
    slot_.connections.add(1);
    if (sessions_.size() == 1) slot_.enter(SlotState::serving);
  }

  /// 0, or why not; then the client is the caller's still.
  int take_in(AcceptedClient& client) {
    const int fd = client.socket.get();
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno;
    try {
      // Memory for all that it will need first, so that what fails leaves the socket where it is.
      sessions_.reserve(sessions_.size() + 1);
      ended_.reserve(sessions_.size() + 1);
      Slot* slot = connection_slots_.take(client.peer);
      sessions_.try_emplace(fd, client, gate_.source(), options_, now_).first->second.slot = slot;
    } catch (const std::bad_alloc&) {
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
      return ENOMEM;
    }
    return 0;
  }

  struct Watched {
    Watched(AcceptedClient& client, const Source& counted_by, const Options& options, TimePoint now)
        : session(std::move(client.socket), options, now), source(counted_by) {}
    EventSession session;
    Source source;
    Slot* slot = nullptr;   // with an access log
    bool for_room = false;  // watched for room to send, instead of for input
  };

  void handle_session(const epoll_event& event) {
    const auto found = sessions_.find(event.data.fd);
    if (found == sessions_.end()) return;
    advance(found->second, [this, for_room = found->second.for_room](EventSession& session) {
      if (for_room) {
        session.on_writable(buffers(), slot_.meter, now_);
      } else {
        session.on_readable(buffers(), slot_.meter, now_);
      }
    });
  }

  /// A session for which there is no memory is lost, and no other with it.
  template <typename Step>
  void advance(Watched& watched, Step step) {
    try {
      metered(watched, [&] { step(watched.session); });
    } catch (const std::bad_alloc&) {
      memory_warning_.tell("cannot keep what a client does not read", ENOMEM,
                           "its connection is lost");
      watched.session.fail();
    }
    settle(watched);
  }

  /// What `act` moves for a session is entered into its own slot, too.
  template <typename Act>
  void metered(Watched& watched, Act act) {
    if (watched.slot == nullptr) return act();
    const MeterReading before = slot_.meter.read();
    act();
    const MeterReading after = slot_.meter.read();
    watched.slot->meter.bytes_in.add(after.bytes_in - before.bytes_in);
    watched.slot->meter.bytes_out.add(after.bytes_out - before.bytes_out);
  }

  /// After anything that happened to a session: watch it for what it waits for now.
  void settle(Watched& watched) {
    EventSession& session = watched.session;
    if (session.ending()) {
      ended_.push_back(session.socket());
      return;
    }
    if (session.is_stalled() == watched.for_room) return;
    watched.for_room = session.is_stalled();
    epoll_event event{.events = watched.for_room ? EPOLLOUT : EPOLLIN,
                      .data = {.fd = session.socket()}};
    check_syscall(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, session.socket(), &event), "epoll_ctl");
  }

  void finish_all() {
    for (auto& [fd, watched] : sessions_) {
      if (watched.session.ending()) continue;
      advance(watched,
              [this](EventSession& session) { session.finish(buffers(), slot_.meter, now_); });
    }
  }

  void sweep() {
    next_sweep_ = now_ + sweep_period;
    const bool stressed = stress_ != nullptr && stress_->load(std::memory_order_relaxed);
    for (auto& [fd, watched] : sessions_) {
      if (watched.session.ending()) continue;
      advance(watched,
              [&](EventSession& session) { session.check_timeouts(now_, slot_.meter, stressed); });
    }
  }

  void bury_ended() {
    for (const int fd : ended_) {
      const auto found = sessions_.find(fd);
      if (found == sessions_.end()) continue;
      book_the_end_of(found->second);
      gate_.ended(found->second.source);
      sessions_.erase(found);  // closes, which also ends the watch
      if (sessions_.empty()) slot_.enter(SlotState::idle);
    }
    ended_.clear();
  }

  void book_the_end_of(const Watched& watched) {
    const Ending ending = *watched.session.ending();
    book_ending(
        page_,
        [&] {
          return watched.slot == nullptr
                     ? describe_arrival({}, AccessRole::worker, outcome_of(ending))
                     : describe_connection(*watched.slot, AccessRole::worker, outcome_of(ending));
        },
        [&] { book_.record(ending); });
    connection_slots_.give_back(watched.slot);
  }

  void book_refusal(const PeerAddress& peer) {
    book_ending(
        page_,
        [&] { return describe_arrival(peer, AccessRole::worker, outcome_of(Refusal::full)); },
        [&] { book_.record(Refusal::full); });
  }

  /// A session holds a descriptor, so to have none left is to be full; another worker may have some
  /// for the client, and is given a pause to take it.
  void run_short(const Listener& listener, int error) {
    const bool again = short_of_descriptors_;
    short_of_descriptors_ = error == EMFILE;
    const bool refuses = again && error == EMFILE && options_.when_full == WhenFull::refuse;
    shortage_.begin("cannot accept", error,
                    refuses ? "one client is closed" : "clients wait in the queue");
    if (!refuses) return;
    if (!spare_.give_up()) return;
    AcceptResult accepted = listener.accept();
    if (accepted.outcome != AcceptResult::Outcome::client) return;
    book_.accepted.add(1);
    book_refusal(accepted.client.peer);
    shortage_.see_off(std::move(accepted.client));
  }

  EventBuffers buffers() { return {.input = input_, .scratch = scratch_}; }

  const Options& options_;
  const std::span<const Listener> listeners_;
  ProcessPage& page_;
  Book& book_;
  Slot& slot_;
  Gate gate_;
  const std::atomic<bool>* const stress_;
  ConnectionSlots connection_slots_;
  std::vector<char> input_;
  std::vector<char> scratch_;
  sys::Descriptor epoll_;
  sigset_t unblocked_{};
  std::array<epoll_event, 256> events_{};
  std::size_t ready_ = 0;
  std::unordered_map<int, Watched> sessions_;
  std::vector<int> ended_;
  bool watching_listeners_ = false;
  bool queue_empty_ = false;  // while leaving: nobody waited at the last look
  bool door_closed_ = false;  // nobody will come any more
  sys::Deadline last_call_ = sys::Deadline::never();
  TimePoint now_ = sys::Clock::now();
  TimePoint next_sweep_ = now_;
  Shortage shortage_;
  RepeatedWarning memory_warning_;
  SpareDescriptor spare_;
  bool short_of_descriptors_ = false;
};

}  // namespace

void run_event_worker(const ProcessContext& context, SlotTable* slots) {
  settle_in(context, "event worker");
  EventWorker worker(context, slots);
  restrict_calls(context, Role::event_worker);
  worker.run();
}

}  // namespace forkecho::server
