#include "server/acceptor.h"

#include <poll.h>

#include <csignal>
#include <optional>
#include <span>
#include <string>

#include "common/mp/lean_parent.h"
#include "server/accept_wait.h"
#include "server/acceptor_signals.h"
#include "server/children_in_slots.h"
#include "server/client_intake.h"
#include "server/connection_child.h"
#include "server/gate.h"
#include "server/reaper.h"
#include "server/shortage.h"
#include "server/spare_keeper.h"

namespace forkecho::server {
namespace {

using sys::Deadline;

/// So long after the drain timeout clients may wait for room; after that they are refused, so that
/// they see an end before the daemon's own, at which they would be reset (shutdown.h,
/// finish_patience).
constexpr auto last_call_after = std::chrono::seconds(4);
/// After the drain timeout, children are told to finish as often as this until they are gone.
constexpr auto finish_repeat = std::chrono::milliseconds(50);

std::string acceptor_title(const ProcessContext& context) {
  if (has_single_use_workers(context.options)) return "acceptor, keeps workers ahead";
  const std::string which = context.peers == 1 ? ""
                                               : " " + std::to_string(context.page_index + 1) +
                                                     " of " + std::to_string(context.peers);
  return "acceptor" + which + ", one child per connection";
}

class Acceptor {
 public:
  Acceptor(const ProcessContext& context, SlotTable& slots, ConnectionChild& child)
      : listeners_(context.listeners),
        page_(context.page()),
        several_(context.peers > 1),
        gate_(context, Accepting::polls, slots.size()),
        children_(slots, page_, gate_.counts_sources()),
        spares_(make_spares(context, child)),
        reaper_(page_, signals_, children_, gate_, spares()),
        intake_(context, child, children_, gate_, shortage_, spares()),
        wait_(listeners_, signals_.fd(), spares_ ? spares_->fd() : -1,
              several_ ? AcceptWait::Acceptors::several : AcceptWait::Acceptors::one) {
    keep_from_children(context);
    child.keep_from_children(wait_.fd());
  }

  void run() {
    page_.door.store(Door::open, std::memory_order_release);
    while (!done()) {
      shortage_.refresh();
      wait_for_events();
      handle_signals();
      reaper_.reap_all([this] { return read_signals(); });
      if (retired_) shut_door();
      accept_connections();
      if (spares_) spares_->keep(clients_wait_);
    }
  }

 private:
  std::optional<SpareKeeper> make_spares(const ProcessContext& context,
                                         const ConnectionChild& child) {
    using Maybe = std::optional<SpareKeeper>;
    if (!forks_ahead(context.options)) return std::nullopt;
    return Maybe(std::in_place, context, child, children_, gate_, shortage_);
  }
  SpareKeeper* spares() { return spares_ ? &*spares_ : nullptr; }

  /// The books, and all that decides on admissions; the word of stress alone is for them.
  void keep_from_children(const ProcessContext& context) const {
    context.pages.memory().keep_from_children();
    context.pages.admission.keep_from_children();
    for (const auto& elder : context.elders) {
      elder->memory().keep_from_children();
      elder->admission.keep_from_children();
    }
    if (spares_) return;  // they accept
    for (const Listener& listener : listeners_) listener.keep_from_children();
  }

  bool done() const {
    const bool over = retired_ || (draining_ && (queue_empty_ || intake_.door_closed()));
    return over && children_.size() == 0;
  }

  // --- Waiting

  void wait_for_events() {
    // Asked once: the answer may be another a moment later, and a wait for what has happened
    // already would have no end.
    const bool accepts = may_accept();
    const AcceptWait::Heard heard = wait_.wait(accepts, wait_deadline(accepts));
    if (heard.nothing_asked) poll(nullptr, 0, static_cast<int>(Shortage::pause.count()));
    signals_pending_ = heard.signals || heard.nothing_asked;
    clients_wait_ = heard.clients || heard.nothing_asked;
  }

  Deadline wait_deadline(bool accepts) const {
    Deadline deadline = earlier(shortage_.until(), children_.next_look());
    deadline = earlier(deadline, tell_again_);
    if (spares_) deadline = earlier(deadline, spares_->next());
    if (!accepts && !retired_) deadline = earlier(deadline, gate_.look_again());
    if (accepts && draining_ && !queue_empty_) deadline = Deadline::immediately();
    return deadline;
  }

  // --- Clients

  bool may_accept() { return !retired_ && !spares_accept() && intake_.is_open(); }

  bool spares_accept() const { return spares_ && !draining_ && spares_->take_clients(); }

  void accept_connections() {
    if (!clients_wait_ && !draining_) return;
    if (retired_ || spares_accept()) return;
    const bool found = intake_.take_waiting();
    // The supervisor has shut the door before it said TERM: an empty queue stays empty, but for the
    // last handshakes that were under way; while children are served there is time for them.
    if (draining_ && intake_.is_open()) queue_empty_ = !found;
  }

  // --- Signals

  void handle_signals() {
    if (tell_again_.passed()) tell_to_finish();
    if (last_call_.passed()) gate_.set_closing(Closing::last_call);
    if ((draining_ || retired_) && spares_) spares_->dismiss_all();
    if (signals_pending_) read_signals();
  }

  /// Some of them: whether there may be more.
  bool read_signals() {
    return signals_.read([this](int number) { handle_signal(number); });
  }

  void handle_signal(int number) {
    children_.looks().something_happened();
    switch (number) {
      case SIGTERM:
        drain();
        return gate_.set_closing(Closing::draining);
      case SIGUSR1:
        return retire();
      case SIGUSR2:
        drain();
        if (tell_again_.is_never()) last_call_ = Deadline::after(last_call_after);
        return tell_to_finish();
      case SIGTTIN:
      case SIGTTOU:
        if (spares_) spares_->grow(number == SIGTTIN ? 1 : -1);
        return;
      case SIGQUIT:
        drain();
        intake_.close_door();
        return children_.tell_all(SIGKILL);
      default:  // one that only a child sends, and that none has sent
        return;
    }
  }

  void drain() {
    draining_ = true;
    if (spares_) spares_->stop();
  }

  void retire() {
    // Who was woken for a client woke nobody else for him.
    if (several_ && !retired_) accept_connections();
    retired_ = true;
    if (!spares_) return;
    spares_->stop();
    spares_->dismiss_all();
  }

  void tell_to_finish() {
    children_.tell_all(SIGTERM);
    tell_again_ = Deadline::after(finish_repeat);
  }

  /// Spares take clients in until they are gone.
  void shut_door() {
    if (!spares_ || spares_->none_left()) page_.door.store(Door::shut, std::memory_order_release);
  }

  const std::span<const Listener> listeners_;
  ProcessPage& page_;
  const bool several_;  // acceptors with the same listeners
  Gate gate_;
  Shortage shortage_;
  AcceptorSignals signals_;
  ChildrenInSlots children_;
  std::optional<SpareKeeper> spares_;  // where workers are forked ahead
  Reaper reaper_;
  ClientIntake intake_;
  AcceptWait wait_;

  bool signals_pending_ = false;
  bool clients_wait_ = false;
  bool draining_ = false;
  bool queue_empty_ = false;  // while draining: nobody waited at the last look
  bool retired_ = false;
  Deadline tell_again_ = Deadline::never();  // children, that they shall finish
  Deadline last_call_ = Deadline::never();
};

}  // namespace

[[gnu::hot]] void run_acceptor(const ProcessContext& context, SlotTable& slots) {
  settle_in(context, acceptor_title(context));
  ConnectionChild child(context);
  mp::run_lean([&] {
    Acceptor acceptor(context, slots, child);
    if (!child.reads_heap()) mp::keep_heap_from_children();
    restrict_calls(context, Role::acceptor);
    acceptor.run();
  });
}

}  // namespace forkecho::server
