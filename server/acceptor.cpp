#include "server/acceptor.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>
#include <span>
#include <string_view>

#include "common/log/log.h"
#include "common/mp/fork.h"
#include "common/mp/reap.h"
#include "common/mp/step.h"
#include "common/sys/check_syscall.h"
#include "common/sys/process_title.h"
#include "common/sys/raw_syscall.h"
#include "server/admission.h"
#include "server/backoff.h"
#include "server/believed_book.h"
#include "server/child_table.h"
#include "server/connection_title.h"
#include "server/pace.h"
#include "server/serve_connection.h"
#include "server/shortage.h"
#include "server/spares.h"

namespace forkecho::server {
namespace {

using sys::Deadline;

/// How many connections may be taken before children are reaped and signals heard again.
constexpr int accept_batch = 16;
/// Whether spares still take clients is looked at as often as this.
constexpr auto spare_look = std::chrono::seconds(1);
/// While connections of others keep us from accepting, they are looked at as often as this.
constexpr auto room_poll = std::chrono::milliseconds(5);
/// After the drain timeout, children are told to finish as often as this until they are gone.
constexpr auto finish_repeat = std::chrono::milliseconds(50);

pid_t supervisor_pid = 0;
pid_t acceptor_pid = 0;

void on_finish(int) {
  finish_current_connection();
}

/// In a spare: nobody needs it any more.
volatile std::sig_atomic_t dismissed = 0;

void on_leave(int) {
  dismissed = 1;
}

/// A parent has died. The acceptor's death leaves the child to the supervisor, and its client
/// unharmed; without a supervisor nothing may go on.
void on_parents_death(int) {
  const pid_t parent = getppid();
  // Anybody can send a HUP (pkill -HUP): the acceptor may be alive.
  if (parent != acceptor_pid && parent != supervisor_pid) _exit(mp::orphaned);
  if (parent == supervisor_pid) dismissed = 1;
}

void set_handler(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;  // no SA_RESTART: a blocked read must return
  sigfillset(&action.sa_mask);
  sys::check_syscall(sigaction(number, &action, nullptr), "sigaction");
}

/// The handlers that the children will run; the acceptor itself never unblocks signals, and reads
/// from its signalfd also those that are ignored here (a blocked signal stays pending).
void prepare_childrens_signals() {
  set_handler(SIGTERM, on_finish);
  set_handler(SIGHUP, on_parents_death);
  set_handler(SIGUSR1, on_leave);
  for (const int ignored : {SIGPIPE, SIGINT, SIGUSR2, SIGTTIN, SIGTTOU}) {
    set_handler(ignored, SIG_IGN);
  }
}

/// Every signal is blocked since before the fork of this process, and stays so.
sys::Descriptor watch_signals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGQUIT})
    sigaddset(&watched, number);
  return sys::Descriptor(
      sys::check_syscall(signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd"));
}

/// The end, and nothing left unread that would make it a reset. MSG_TRUNC discards without a copy.
void turn_away(int socket) {
  shutdown(socket, SHUT_WR);
  recv(socket, nullptr, 1 << 20, MSG_DONTWAIT | MSG_TRUNC);
}

class Acceptor {
 public:
  Acceptor(const ProcessContext& context, mp::RawArray<Slot>& slots)
      : options_(context.options),
        listeners_(context.listeners),
        page_(context.page()),
        book_(page_.book),
        elders_(context.elders),
        adopted_(context.pages.all().back().book),
        slots_(slots),
        children_(static_cast<std::uint32_t>(slots.size())),
        serve_options_{.transform = options_.transform, .timeouts = options_.timeouts} {
    context.pages.memory().keep_from_children();
    for (const auto& elder : elders_) elder->memory().keep_from_children();
    if (has_single_use_workers(options_)) {
      spares_.emplace(options_.pool, context.grown, static_cast<std::uint32_t>(slots.size()));
    } else {
      for (const Listener& listener : listeners_) listener.keep_from_children();
    }
    prepare_childrens_signals();
    signals_ = watch_signals();
    page_.door.store(Door::open, std::memory_order_release);
  }

  void run() {
    while (!done()) {
      shortage_.refresh();
      wait_for_events();
      handle_signals();
      reap_children();
      if (spares_) count_taken();
      if (retired_) shut_door();
      accept_connections();
      if (spares_) keep_spares();
    }
  }

 private:
  bool done() const {
    const bool over = retired_ || (draining_ && (queue_empty_ || door_closed_));
    return over && children_.size() == 0;
  }

  bool leaving() const { return draining_ || retired_; }

  bool may_accept() const {
    return !retired_ && !door_closed_ && !shortage_.lasts() && decide() != Admission::wait &&
           !spares_accept() && !still_accept(elders_);
  }

  /// While there are spares the clients are theirs: they wait already.
  bool spares_accept() const {
    return spares_ && spares_->idle() > 0 && !draining_ && !spares_fail_;
  }

  Admission decide() const {
    return decide_admission(children_.size() + served_elsewhere(), slots_.size(),
                            options_.when_full);
  }

  /// By elders, and by the adopted children of an acceptor that sat here before.
  std::uint64_t served_elsewhere() const { return active_in(elders_) + adopted_.read().active(); }

  void wait_for_events() {
    std::array<pollfd, max_listeners + 2> entries;
    std::size_t count = 0;
    entries[count++] = {.fd = signals_.get(), .events = POLLIN, .revents = 0};
    if (spares_) entries[count++] = {.fd = spares_->fd(), .events = POLLIN, .revents = 0};
    const std::size_t first_listener = count;
    if (may_accept()) {
      for (const Listener& listener : listeners_) {
        entries[count++] = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
      }
    }
    const int ready = sys::retry_on_interrupt(
        [&] { return poll(entries.data(), count, wait_deadline().poll_timeout_ms()); });
    if (ready < 0) return wait_blindly();
    signals_pending_ = entries[0].revents != 0;
    clients_wait_ = std::any_of(entries.begin() + first_listener, entries.begin() + count,
                                [](const pollfd& e) { return e.revents != 0; });
  }

  /// poll refuses more descriptors than RLIMIT_NOFILE allows (EINVAL), also such as are open.
  void wait_blindly() {
    poll(nullptr, 0, static_cast<int>(Shortage::pause.count()));
    signals_pending_ = clients_wait_ = true;
  }

  Deadline wait_deadline() const {
    Deadline deadline = shortage_.until();
    if (finishing_ || (leaving() && spares_ && spares_->idle() > 0))
      deadline = earlier(deadline, Deadline::after(finish_repeat));
    if (spares_ && !leaving() && !shortage_.lasts()) {
      deadline = earlier(deadline, next_look_);
      if (pace_.is_hurried(sys::Clock::now()))
        deadline = earlier(deadline, Deadline::at(pace_.calm_at()));
    }
    // Room that others make is not announced by a signal.
    if (!retired_ && !may_accept() && served_elsewhere() + elders_.size() > 0)
      deadline = earlier(deadline, Deadline::after(room_poll));
    if (draining_ && !queue_empty_ && may_accept())
      deadline = Deadline::after(sys::Duration::zero());
    return deadline;
  }

  void handle_signals() {
    if (finishing_) tell_children(SIGTERM);
    if (leaving() && spares_) dismiss_spares();
    if (!signals_pending_) return;
    std::array<signalfd_siginfo, 16> infos;
    const ssize_t bytes = read(signals_.get(), infos.data(), sizeof infos);
    for (std::size_t i = 0; bytes > 0 && i < static_cast<std::size_t>(bytes) / sizeof infos[0];
         ++i) {
      handle_signal(static_cast<int>(infos[i].ssi_signo));
    }
  }

  void handle_signal(int number) {
    switch (number) {
      case SIGCHLD:
        children_ended_ = true;
        break;
      case SIGTERM:
        draining_ = true;
        break;
      case SIGUSR1:
        retired_ = true;
        shut_door();
        if (spares_) dismiss_spares();
        break;
      case SIGUSR2:
        draining_ = finishing_ = true;
        tell_children(SIGTERM);
        break;
      case SIGTTIN:
      case SIGTTOU:
        if (spares_) grow(number == SIGTTIN ? 1 : -1);
        next_look_ = Deadline::immediately();
        break;
      default:  // QUIT
        draining_ = door_closed_ = true;
        tell_children(SIGKILL);
        break;
    }
  }

  /// Spares take clients in until they are gone.
  void shut_door() {
    if (!spares_ || spares_->idle() == 0) page_.door.store(Door::shut, std::memory_order_release);
  }

  void tell_children(int number) const {
    // Each is an unreaped child of ours, so its pid cannot be another's.
    children_.for_each_pid([number](pid_t pid) { kill(pid, number); });
  }

  void reap_children() {
    if (!children_ended_) return;
    children_ended_ = false;
    while (const auto exit = mp::reap_any().exit) account_for(*exit);
  }

  void account_for(const mp::Exit& exit) {
    FORKECHO_MP_STEP("acceptor.reap.found");
    const auto slot_index = children_.remove(exit.pid);
    if (!slot_index) return;
    Slot& slot = slots_[*slot_index];
    book_.bytes_in.add(believable_bytes(slot.meter.bytes_in.get()));
    book_.bytes_out.add(believable_bytes(slot.meter.bytes_out.get()));
    const SlotState state = slot.state.load(std::memory_order_relaxed);
    if (slot.pid.load(std::memory_order_relaxed) != exit.pid) repair_slots();
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    slot.pid.store(0, std::memory_order_relaxed);
    children_.give_back(*slot_index);
    book_.reaped.add(1);
    if (spares_ && spares_->remove(exit.pid)) {
      if (!had_client(exit.exitcode, state == SlotState::serving)) {
        if (exit.exitcode != unused_spare) tell_of_early_death(exit);
        return;
      }
      book_.accepted.add(1);
    }
    const Ending ending = ending_of_exitcode(exit.exitcode);
    if (ending == Ending::crashed) warn_of_crash(exit);
    book_.record(ending);
  }

  /// A child has written where it should not have: who serves is shown as our own table has it.
  void repair_slots() {
    for (Slot& slot : slots_.all()) {
      if (slot.state.load(std::memory_order_relaxed) != SlotState::free)
        slot.state.store(SlotState::free, std::memory_order_relaxed);
    }
    children_.for_each([this](pid_t pid, std::uint32_t index) {
      slots_[index].pid.store(pid, std::memory_order_relaxed);
      const bool is_spare = spares_ && spares_->has(pid);
      slots_[index].state.store(is_spare ? SlotState::idle : SlotState::serving,
                                std::memory_order_relaxed);
    });
  }

  static void warn_of_crash(const mp::Exit& exit) {
    if (exit.exitcode < 0) {
      log::warning("child {} was ended by signal {}; its connection is lost", exit.pid,
                   -exit.exitcode);
    } else {
      log::warning("child {} failed with exit code {}; its connection is lost", exit.pid,
                   exit.exitcode);
    }
  }

  void accept_connections() {
    if (!clients_wait_ && !draining_) return;
    bool found = false;
    for (const Listener& listener : listeners_) {
      for (int i = 0; i < accept_batch && may_accept(); ++i) {
        if (!accept_one(listener)) break;
        found = true;
      }
    }
    // The supervisor has shut the door before it said TERM: an empty queue stays empty, but for the
    // last handshakes that were under way; while children are served there is time for them.
    if (draining_ && may_accept()) queue_empty_ = !found;
  }

  bool accept_one(const Listener& listener) {
    // Spares block in accept, so that the listener does not refuse to; and they may have been
    // quicker.
    if (spares_ && !listener.has_waiting_client()) return false;
    AcceptResult accepted = listener.accept();
    switch (accepted.outcome) {
      case AcceptResult::Outcome::client:
        FORKECHO_MP_STEP("acceptor.accept.taken");
        book_.accepted.add(1);
        FORKECHO_MP_STEP("acceptor.accept.booked");
        take_in(std::move(accepted.client));
        return true;
      case AcceptResult::Outcome::exhausted:
        if (accepted.error == EMFILE && spare_.give_up()) return accept_one(listener);
        shortage_.begin("cannot accept", accepted.error, "clients wait in the queue");
        return false;
      case AcceptResult::Outcome::closed:
        door_closed_ = true;
        return false;
      case AcceptResult::Outcome::none:
        return false;
    }
    return false;
  }

  void take_in(AcceptedClient client) {
    if (decide() == Admission::refuse_full) {
      refuse(std::move(client));
    } else {
      fork_child(std::move(client));
    }
  }

  void refuse(AcceptedClient client) {
    turn_away(client.socket.get());
    book_.record(Refusal::full);
    if (++refused_ == 1)
      log::warning("full: {} connections; refusing more (see --max-connections)", slots_.size());
  }

  void fork_child(AcceptedClient client) {
    const std::uint32_t slot_index = children_.take_slot();
    Slot& slot = slots_[slot_index];
    prepare(slot, client.peer);
    FORKECHO_MP_STEP("acceptor.fork.before");
    const pid_t pid = mp::fork_process(mp::ForkMask::already_blocked);
    if (pid == 0) serve_in_child(client.socket.get(), slot);
    if (pid < 0) {
      fork_failed(std::move(client), slot, slot_index);
      return;
    }
    FORKECHO_MP_STEP("acceptor.fork.after");
    if (spares_) {
      pace_.came(1, entered(slot));
      pace_.forked(time_since(slot));
    }
    book_.forked.add(1);
    slot.pid.store(pid, std::memory_order_relaxed);
    children_.insert(pid, slot_index);
    FORKECHO_MP_STEP("acceptor.fork.booked");
  }

  static sys::Clock::time_point entered(const Slot& slot) {
    return sys::Clock::time_point(sys::Duration(slot.since_ns.load(std::memory_order_relaxed)));
  }
  static sys::Duration time_since(const Slot& slot) { return sys::Clock::now() - entered(slot); }

  // --- Single-use workers, forked ahead

  void count_taken() {
    const unsigned taken = spares_->collect(slots_);
    if (taken == 0) return;
    book_.accepted.add(taken);
    spares_backoff_.succeeded();
    pace_.came(taken, sys::Clock::now());
  }

  void tell_of_early_death(const mp::Exit& exit) {
    const bool others_are_well = book_.served.get() > 0;
    const auto seconds =
        spares_backoff_.after({.killed = exit.exitcode == -SIGKILL,
                               .others_are_well = others_are_well,
                               .started_before_last = !no_spares_before_.passed()});
    if (seconds == Backoff::Seconds::zero()) return;
    no_spares_before_ = Deadline::after(seconds);
    log::error(
        "worker {} {} before its first connection; the next is forked ahead in {} s (see the lines "
        "above, memory and ulimit)",
        exit.pid, describe_end(exit.exitcode), seconds.count());
  }

  /// In the time that is left by clients: those who wait are served first, by a fork each, so that
  /// the worst that can happen to this mode is to be fork mode.
  void keep_spares() {
    if (leaving() || shortage_.lasts()) return;
    look_after_spares();
    if (clients_wait_) {
      spares_->ran_out();
      return;
    }
    if (pace_.is_hurried(sys::Clock::now())) return;
    if (!no_spares_before_.passed() || still_accept(elders_)) return;
    const PoolDecision decision = spares_->decide(children_.size());
    for (unsigned i = 0; i < decision.spawn && !shortage_.lasts(); ++i) fork_spare();
  }

  /// Once a second. Spares that were stopped wait for nobody, and would keep us from accepting.
  void look_after_spares() {
    if (!next_look_.passed()) return;
    next_look_ = Deadline::after(spare_look);
    const bool somebody_waits =
        std::any_of(listeners_.begin(), listeners_.end(),
                    [](const Listener& l) { return l.has_waiting_client(); });
    spares_fail_ = somebody_waits && somebody_waited_;
    somebody_waited_ = somebody_waits;
    if (somebody_waits) return;
    spares_->relax();
    if (spares_->decide(children_.size()).retire > 0) dismiss_one_spare();
  }

  void grow(int by) {
    spares_->grow(by);
    if (by < 0) dismiss_one_spare();
  }

  void dismiss_spares() const {
    spares_->for_each_pid([](pid_t pid) { kill(pid, SIGUSR1); });
  }

  void dismiss_one_spare() const {
    bool done = false;
    spares_->for_each_pid([&done](pid_t pid) { done = done || kill(pid, SIGUSR1) == 0; });
  }

  void fork_spare() {
    const std::uint32_t slot_index = children_.take_slot();
    Slot& slot = slots_[slot_index];
    prepare(slot, {}, SlotState::idle);
    const pid_t pid = mp::fork_process(mp::ForkMask::already_blocked);
    if (pid == 0) serve_next_client(slot);
    if (pid < 0) {
      const int error = errno;
      slot.state.store(SlotState::free, std::memory_order_relaxed);
      children_.give_back(slot_index);
      shortage_.begin("cannot fork a worker ahead", error, "clients wait in the queue");
      return;
    }
    pace_.forked(time_since(slot));
    book_.forked.add(1);
    slot.pid.store(pid, std::memory_order_relaxed);
    children_.insert(pid, slot_index);
    spares_->add(pid, slot_index);
  }

  [[noreturn, gnu::hot]] void serve_next_client(Slot& slot) {
    begin_child(slot);
    sys::set_process_title("forkechod: worker, idle");
    mp::accept_signals();
    AcceptedClient client = wait_for_client();
    slot.peer = client.peer;
    slot.connections.set(1);
    slot.enter(SlotState::serving);
    spares_->announce();
    for (const Listener& listener : listeners_) sys::raw_syscall(SYS_close, listener.fd());
    show_in_title(slot.peer);
    serve_and_leave(client.socket.get(), slot);
  }

  /// Leaves the process when nobody needs it any more.
  [[gnu::hot]] AcceptedClient wait_for_client() const {
    for (;;) {
      if (listeners_.size() > 1) wait_for_any();
      for (const Listener& listener : listeners_) {
        if (dismissed != 0 || finishing()) leave_unused();
        AcceptResult accepted = listener.accept();
        if (accepted.outcome == AcceptResult::Outcome::client) return std::move(accepted.client);
        if (accepted.outcome == AcceptResult::Outcome::closed) leave_unused();
        if (accepted.outcome == AcceptResult::Outcome::exhausted)
          poll(nullptr, 0, static_cast<int>(Shortage::pause.count()));
      }
    }
  }

  void wait_for_any() const {
    std::array<pollfd, max_listeners> entries;
    nfds_t count = 0;
    for (const Listener& listener : listeners_)
      entries[count++] = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
    poll(entries.data(), count, dismissed != 0 || finishing() ? 0 : -1);
  }

  [[noreturn]] static void leave_unused() {
    for (;;) sys::raw_syscall(SYS_exit_group, unused_spare);
  }

  // ---

  static void prepare(Slot& slot, const PeerAddress& peer, SlotState state = SlotState::serving) {
    slot.peer = peer;
    slot.meter.bytes_in.set(0);
    slot.meter.bytes_out.set(0);
    slot.connections.set(state == SlotState::serving ? 1 : 0);
    slot.enter(state);
  }

  void fork_failed(AcceptedClient client, Slot& slot, std::uint32_t slot_index) {
    shortage_.begin("cannot fork a child for a connection", errno,
                    "it is closed, and the next wait in the queue");
    shortage_.see_off(std::move(client));
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    children_.give_back(slot_index);
    book_.fork_failed.add(1);
  }

  [[noreturn]] void serve_in_child(int socket, Slot& slot) {
    FORKECHO_MP_STEP("acceptor.child.born");
    begin_child(slot);
    for (const Listener& listener : listeners_) sys::raw_syscall(SYS_close, listener.fd());
    show_in_title(slot.peer);
    mp::accept_signals();
    FORKECHO_MP_STEP("acceptor.child.ready");
    serve_and_leave(socket, slot);
  }

  [[gnu::hot]] void begin_child(Slot& slot) const {
    slot.pid.store(static_cast<pid_t>(sys::raw_syscall(SYS_getpid)), std::memory_order_relaxed);
    mp::die_with_parent(acceptor_pid, SIGHUP, supervisor_pid);
  }

  [[noreturn, gnu::hot]] void serve_and_leave(int socket, Slot& slot) const {
    const Ending ending = serve_connection(socket, serve_options_, slot.meter);
    FORKECHO_MP_STEP("acceptor.child.served");
    for (;;) sys::raw_syscall(SYS_exit_group, static_cast<int>(ending));
  }

  const Options& options_;
  const std::span<const Listener> listeners_;
  ProcessPage& page_;
  Book& book_;
  const Elders& elders_;
  const Book& adopted_;
  mp::RawArray<Slot>& slots_;
  ChildTable children_;
  std::optional<Spares> spares_;  // where workers are forked ahead
  Pace pace_;
  Backoff spares_backoff_;
  Deadline no_spares_before_ = Deadline::immediately();
  const ServeOptions serve_options_;
  sys::Descriptor signals_;
  bool signals_pending_ = false;
  bool clients_wait_ = false;
  bool children_ended_ = false;
  bool draining_ = false;
  bool finishing_ = false;
  bool retired_ = false;
  bool queue_empty_ = false;      // while draining: nobody waited at the last look
  bool door_closed_ = false;      // nobody will come any more
  bool spares_fail_ = false;      // somebody waits, and has waited, though there are spares
  bool somebody_waited_ = false;  // at the last look
  Deadline next_look_ = Deadline::immediately();
  std::uint64_t refused_ = 0;
  Shortage shortage_;
  SpareDescriptor spare_;
};

}  // namespace

[[gnu::hot]] void run_acceptor(const ProcessContext& context, mp::RawArray<Slot>& slots) {
  settle_in(context, has_single_use_workers(context.options)
                         ? "acceptor, keeps workers ahead"
                         : "acceptor, one child per connection");
  supervisor_pid = context.supervisor;
  acceptor_pid = getpid();
  Acceptor(context, slots).run();
}

}  // namespace forkecho::server
