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
#include "common/sys/raw_syscall.h"
#include "server/access_log.h"
#include "server/believed_book.h"
#include "server/child_table.h"
#include "server/connection_title.h"
#include "server/gate.h"
#include "server/serve_connection.h"
#include "server/shortage.h"

namespace forkecho::server {
namespace {

using sys::Deadline;

/// How many connections may be taken before children are reaped and signals heard again.
constexpr int accept_batch = 16;
/// So long after the drain timeout clients may wait for room; after that they are refused, so that
/// they see an end before the daemon's own, at which they would be reset (supervisor.cpp,
/// finish_patience).
constexpr auto last_call_after = std::chrono::seconds(4);
/// After the drain timeout, children are told to finish as often as this until they are gone.
constexpr auto finish_repeat = std::chrono::milliseconds(50);

pid_t supervisor_pid = 0;
pid_t acceptor_pid = 0;

void on_finish(int) {
  finish_current_connection();
}

/// A parent has died. The acceptor's death leaves the child to the supervisor, and its client
/// unharmed; without a supervisor nothing may go on.
void on_parents_death(int) {
  const pid_t parent = getppid();
  // Anybody can send a HUP (pkill -HUP): the acceptor may be alive.
  if (parent != acceptor_pid && parent != supervisor_pid) _exit(mp::orphaned);
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
  for (const int ignored : {SIGPIPE, SIGINT, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU}) {
    set_handler(ignored, SIG_IGN);
  }
}

/// Every signal is blocked since before the fork of this process, and stays so.
sys::Descriptor watch_signals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2, SIGQUIT})
    sigaddset(&watched, number);
  return sys::Descriptor(
      sys::check_syscall(signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd"));
}

class Acceptor {
 public:
  Acceptor(const ProcessContext& context, mp::RawArray<Slot>& slots)
      : options_(context.options),
        listeners_(context.listeners),
        page_(context.page()),
        book_(page_.book),
        fork_times_(page_.fork_times),
        slots_(slots),
        gate_(context, Accepting::polls, slots.size()),
        children_(static_cast<std::uint32_t>(slots.size())),
        serve_options_{.transform = options_.transform,
                       .timeouts = options_.timeouts,
                       .stress = stress_word(context.pages.admission)},
        connection_filter_(context.confinement != nullptr ? context.confinement->connection_filter()
                                                          : nullptr) {
    context.pages.memory().keep_from_children();
    for (const auto& elder : context.elders) elder->memory().keep_from_children();
    keep_from_children(context);
    for (const Listener& listener : listeners_) listener.keep_from_children();
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
      accept_connections();
    }
  }

 private:
  static const std::atomic<bool>* stress_word(const AdmissionMemory& memory) {
    return memory.stress ? &**memory.stress : nullptr;
  }

  /// All that decides on admissions; the word of stress alone is for them.
  void keep_from_children(const ProcessContext& context) {
    if (gate_.counts_sources()) sources_.emplace(slots_.size()).memory().keep_from_children();
    context.pages.admission.keep_from_children();
    for (const auto& elder : context.elders) elder->admission.keep_from_children();
  }

  bool done() const {
    const bool leaving = retired_ || (draining_ && (queue_empty_ || door_closed_));
    return leaving && children_.size() == 0;
  }

  bool may_accept() { return !retired_ && !door_closed_ && !shortage_.lasts() && gate_.is_open(); }

  void wait_for_events() {
    std::array<pollfd, max_listeners + 1> entries;
    std::size_t count = 0;
    entries[count++] = {.fd = signals_.get(), .events = POLLIN, .revents = 0};
    // Asked once: the answer may be another a moment later, and a wait for what has happened
    // already would have no end.
    const bool accepts = may_accept();
    const Deadline deadline = wait_deadline(accepts);
    if (accepts) {
      for (const Listener& listener : listeners_) {
        entries[count++] = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
      }
    }
    const int ready = sys::retry_on_interrupt(
        [&] { return poll(entries.data(), count, deadline.poll_timeout_ms()); });
    if (ready < 0) return wait_blindly();
    signals_pending_ = entries[0].revents != 0;
    clients_wait_ = std::any_of(entries.begin() + 1, entries.begin() + count,
                                [](const pollfd& e) { return e.revents != 0; });
  }

  /// poll refuses more descriptors than RLIMIT_NOFILE allows (EINVAL), also such as are open.
  void wait_blindly() {
    poll(nullptr, 0, static_cast<int>(Shortage::pause.count()));
    signals_pending_ = clients_wait_ = true;
  }

  Deadline wait_deadline(bool accepts) {
    Deadline deadline = shortage_.until();
    if (finishing_) deadline = earlier(deadline, Deadline::after(finish_repeat));
    if (!accepts && !retired_) deadline = earlier(deadline, gate_.look_again());
    if (accepts && draining_ && !queue_empty_) deadline = Deadline::after(sys::Duration::zero());
    return deadline;
  }

  void handle_signals() {
    if (finishing_) tell_children(SIGTERM);
    if (last_call_.passed()) gate_.set_closing(Closing::last_call);
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
        gate_.set_closing(Closing::draining);
        break;
      case SIGUSR1:
        retired_ = true;
        page_.door.store(Door::shut, std::memory_order_release);
        break;
      case SIGUSR2:
        draining_ = true;
        if (!finishing_) last_call_ = Deadline::after(last_call_after);
        finishing_ = true;
        tell_children(SIGTERM);
        break;
      default:  // QUIT
        draining_ = door_closed_ = true;
        tell_children(SIGKILL);
        break;
    }
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
    if (slot.pid.load(std::memory_order_relaxed) != exit.pid) repair_slots();
    const Ending ending = ending_of_exitcode(exit.exitcode);
    if (ending == Ending::crashed) warn_of_crash(exit);
    book_.reaped.add(1);
    book_ending(
        page_, [&] { return describe_connection(slot, AccessRole::child, outcome_of(ending)); },
        [&] { book_.record(ending); });
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    slot.pid.store(0, std::memory_order_relaxed);
    children_.give_back(*slot_index);
    gate_.ended(source_of_slot(*slot_index));
  }

  /// A child has written where it should not have: who serves is shown as our own table has it.
  void repair_slots() {
    for (Slot& slot : slots_.all()) {
      if (slot.state.load(std::memory_order_relaxed) != SlotState::free)
        slot.state.store(SlotState::free, std::memory_order_relaxed);
    }
    children_.for_each([this](pid_t pid, std::uint32_t index) {
      slots_[index].pid.store(pid, std::memory_order_relaxed);
      slots_[index].state.store(SlotState::serving, std::memory_order_relaxed);
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

  Source source_of_slot(std::uint32_t slot_index) const {
    return sources_ ? (*sources_)[slot_index] : Source::uncounted;
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
    if (gate_.before_accept().verdict != Admission::Verdict::admit) return false;
    AcceptResult accepted = listener.accept();
    if (accepted.outcome != AcceptResult::Outcome::client) gate_.nobody_came();
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
    const Admission admission = gate_.decide(client.peer);
    if (admission.verdict == Admission::Verdict::refuse) {
      gate_.refuse(std::move(client), admission.reason);
    } else {
      fork_child(std::move(client));
    }
  }

  void fork_child(AcceptedClient client) {
    const std::uint32_t slot_index = children_.take_slot();
    Slot& slot = slots_[slot_index];
    prepare(slot, client.peer);
    const sys::Duration begun(slot.since_ns.load(std::memory_order_relaxed));
    if (sources_) (*sources_)[slot_index] = gate_.source();
    FORKECHO_MP_STEP("acceptor.fork.before");
    const pid_t pid = mp::fork_process(mp::ForkMask::already_blocked);
    if (pid == 0) serve_in_child(client.socket.get(), slot);
    if (pid < 0) {
      fork_failed(std::move(client), slot, slot_index);
      return;
    }
    FORKECHO_MP_STEP("acceptor.fork.after");
    book_.forked.add(1);
    slot.pid.store(pid, std::memory_order_relaxed);
    children_.insert(pid, slot_index);
    fork_times_.record(sys::Clock::now().time_since_epoch() - begun);
    FORKECHO_MP_STEP("acceptor.fork.booked");
  }

  static void prepare(Slot& slot, const PeerAddress& peer) {
    slot.peer = peer;
    slot.meter.bytes_in.set(0);
    slot.meter.bytes_out.set(0);
    slot.connections.set(1);
    slot.enter(SlotState::serving);
  }

  void fork_failed(AcceptedClient client, Slot& slot, std::uint32_t slot_index) {
    shortage_.begin("cannot fork a child for a connection", errno,
                    "it is closed, and the next wait in the queue");
    const PeerAddress peer = client.peer;
    shortage_.see_off(std::move(client));
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    children_.give_back(slot_index);
    gate_.ended(source_of_slot(slot_index));
    book_ending(
        page_,
        [&] { return describe_arrival(peer, AccessRole::acceptor, AccessOutcome::fork_failed); },
        [&] { book_.fork_failed.add(1); });
  }

  [[noreturn]] void serve_in_child(int socket, Slot& slot) {
    FORKECHO_MP_STEP("acceptor.child.born");
    slot.pid.store(static_cast<pid_t>(sys::raw_syscall(SYS_getpid)), std::memory_order_relaxed);
    mp::die_with_parent(acceptor_pid, SIGHUP, supervisor_pid);
    for (const Listener& listener : listeners_) sys::raw_syscall(SYS_close, listener.fd());
    show_in_title(slot.peer);
    if (connection_filter_ != nullptr && !try_install(*connection_filter_)) _exit(setup_failed);
    mp::accept_signals();
    FORKECHO_MP_STEP("acceptor.child.ready");
    const Ending ending = serve_connection(socket, serve_options_, slot.meter);
    FORKECHO_MP_STEP("acceptor.child.served");
    for (;;) sys::raw_syscall(SYS_exit_group, static_cast<int>(ending));
  }

  const Options& options_;
  const std::span<const Listener> listeners_;
  ProcessPage& page_;
  Book& book_;
  ForkTimes& fork_times_;
  mp::RawArray<Slot>& slots_;
  Gate gate_;
  std::optional<mp::RawArray<Source>> sources_;  // by slot; private, as the table of children is
  ChildTable children_;
  const ServeOptions serve_options_;
  const FilterProgram* const connection_filter_;  // none unless --sandbox strict
  sys::Descriptor signals_;
  bool signals_pending_ = false;
  bool clients_wait_ = false;
  bool children_ended_ = false;
  bool draining_ = false;
  bool finishing_ = false;
  bool retired_ = false;
  bool queue_empty_ = false;  // while draining: nobody waited at the last look
  bool door_closed_ = false;  // nobody will come any more
  Deadline last_call_ = Deadline::never();
  Shortage shortage_;
  SpareDescriptor spare_;
};

}  // namespace

[[gnu::hot]] void run_acceptor(const ProcessContext& context, mp::RawArray<Slot>& slots) {
  settle_in(context, "acceptor, one child per connection");
  supervisor_pid = context.supervisor;
  acceptor_pid = getpid();
  Acceptor acceptor(context, slots);
  restrict_calls(context, Role::acceptor);
  acceptor.run();
}

}  // namespace forkecho::server
