#include "server/acceptor.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <span>
#include <string_view>

#include "common/log/log.h"
#include "common/mp/fork.h"
#include "common/mp/reap.h"
#include "common/sys/check_syscall.h"
#include "common/sys/raw_syscall.h"
#include "server/admission.h"
#include "server/child_table.h"
#include "server/connection_title.h"
#include "server/serve_connection.h"

namespace forkecho::server {
namespace {

using sys::Deadline;

/// How many connections may be taken before children are reaped and signals heard again.
constexpr int accept_batch = 16;
/// After the system refused a descriptor or a process: time in which something may come free.
constexpr auto resource_pause = std::chrono::milliseconds(100);
/// While connections of others keep us from accepting, they are looked at as often as this.
constexpr auto room_poll = std::chrono::milliseconds(5);
/// After the drain timeout, children are told to finish as often as this until they are gone.
constexpr auto finish_repeat = std::chrono::milliseconds(50);

pid_t supervisor_pid = 0;

void on_finish(int) {
  finish_current_connection();
}

/// A parent has died. The acceptor's death leaves the child to the supervisor, and its client
/// unharmed; without a supervisor nothing may go on.
void on_parents_death(int) {
  if (getppid() != supervisor_pid) _exit(mp::orphaned);
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
        serve_options_{.transform = options_.transform, .timeouts = options_.timeouts},
        acceptor_pid_(getpid()) {
    context.pages.memory().keep_from_children();
    for (const auto& elder : elders_) elder->memory().keep_from_children();
    for (const Listener& listener : listeners_) listener.keep_from_children();
    prepare_childrens_signals();
    signals_ = watch_signals();
    page_.door.store(Door::open, std::memory_order_release);
  }

  void run() {
    while (!done()) {
      wait_for_events();
      handle_signals();
      reap_children();
      accept_connections();
    }
  }

 private:
  bool done() const {
    const bool leaving = retired_ || (draining_ && (queue_empty_ || door_closed_));
    return leaving && children_.size() == 0;
  }

  bool may_accept() const {
    return !retired_ && !door_closed_ && pause_until_.passed() && decide() != Admission::wait &&
           !still_accept(elders_);
  }

  Admission decide() const {
    return decide_admission(children_.size() + served_elsewhere(), slots_.size(),
                            options_.when_full);
  }

  /// By elders, and by the adopted children of an acceptor that sat here before.
  std::uint64_t served_elsewhere() const { return active_in(elders_) + adopted_.read().active(); }

  void wait_for_events() {
    std::array<pollfd, max_listeners + 1> entries;
    std::size_t count = 0;
    entries[count++] = {.fd = signals_.get(), .events = POLLIN, .revents = 0};
    // Asked once, and in this order: the answers may be others a moment later, and a wait for what
    // has happened already would have no end.
    const Deadline deadline = wait_deadline();
    if (may_accept()) {
      for (const Listener& listener : listeners_) {
        entries[count++] = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
      }
    }
    sys::retry_on_interrupt(
        [&] { return poll(entries.data(), count, deadline.poll_timeout_ms()); });
    signals_pending_ = entries[0].revents != 0;
    clients_wait_ = std::any_of(entries.begin() + 1, entries.begin() + count,
                                [](const pollfd& e) { return e.revents != 0; });
  }

  Deadline wait_deadline() const {
    Deadline deadline = pause_until_.passed() ? Deadline::never() : pause_until_;
    if (finishing_) deadline = earlier(deadline, Deadline::after(finish_repeat));
    // Room that others make is not announced by a signal.
    const bool others_make_room = !elders_.empty() || served_elsewhere() > 0;
    if (others_make_room && !retired_ && !may_accept())
      deadline = earlier(deadline, Deadline::after(room_poll));
    if (draining_ && !queue_empty_ && may_accept())
      deadline = Deadline::after(sys::Duration::zero());
    return deadline;
  }

  void handle_signals() {
    if (finishing_) tell_children(SIGTERM);
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
        page_.door.store(Door::shut, std::memory_order_release);
        break;
      case SIGUSR2:
        draining_ = finishing_ = true;
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
    const auto slot_index = children_.remove(exit.pid);
    if (!slot_index) return;
    Slot& slot = slots_[*slot_index];
    book_.bytes_in.add(slot.meter.bytes_in.get());
    book_.bytes_out.add(slot.meter.bytes_out.get());
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    slot.pid.store(0, std::memory_order_relaxed);
    children_.give_back(*slot_index);
    const Ending ending = ending_of_exitcode(exit.exitcode);
    if (ending == Ending::crashed) warn_of_crash(exit);
    book_.reaped.add(1);
    book_.record(ending);
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
    AcceptResult accepted = listener.accept();
    switch (accepted.outcome) {
      case AcceptResult::Outcome::client:
        book_.accepted.add(1);
        take_in(std::move(accepted.client));
        return true;
      case AcceptResult::Outcome::exhausted:
        pause("cannot accept", accepted.error);
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
    const pid_t pid = mp::fork_process(mp::ForkMask::already_blocked);
    if (pid == 0) serve_in_child(client.socket.get(), slot);
    if (pid < 0) {
      fork_failed(client, slot, slot_index);
      return;
    }
    book_.forked.add(1);
    slot.pid.store(pid, std::memory_order_relaxed);
    children_.insert(pid, slot_index);
  }

  static void prepare(Slot& slot, const PeerAddress& peer) {
    slot.peer = peer;
    slot.meter.bytes_in.set(0);
    slot.meter.bytes_out.set(0);
    slot.connections.set(1);
    slot.enter(SlotState::serving);
  }

  void fork_failed(const AcceptedClient& client, Slot& slot, std::uint32_t slot_index) {
    const int error = errno;
    turn_away(client.socket.get());
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    children_.give_back(slot_index);
    book_.fork_failed.add(1);
    pause("cannot fork a child for a connection", error);
  }

  [[noreturn]] void serve_in_child(int socket, Slot& slot) {
    slot.pid.store(static_cast<pid_t>(sys::raw_syscall(SYS_getpid)), std::memory_order_relaxed);
    mp::die_with_parent(acceptor_pid_, SIGHUP, supervisor_pid);
    for (const Listener& listener : listeners_) sys::raw_syscall(SYS_close, listener.fd());
    show_in_title(slot.peer);
    mp::accept_signals();
    const Ending ending = serve_connection(socket, serve_options_, slot.meter);
    for (;;) sys::raw_syscall(SYS_exit_group, static_cast<int>(ending));
  }

  void pause(const char* what, int error) {
    pause_until_ = Deadline::after(resource_pause);
    if (!warned_of_resources_.passed()) return;
    warned_of_resources_ = Deadline::after(std::chrono::seconds(1));
    log::warning(
        "{}: {}; clients wait in the queue (see ulimit -u and -n, memory, and the cgroup's pids)",
        what, std::strerror(error));
  }

  const Options& options_;
  const std::span<const Listener> listeners_;
  ProcessPage& page_;
  Book& book_;
  const Elders& elders_;
  const Book& adopted_;
  mp::RawArray<Slot>& slots_;
  ChildTable children_;
  const ServeOptions serve_options_;
  const pid_t acceptor_pid_;
  sys::Descriptor signals_;
  bool signals_pending_ = false;
  bool clients_wait_ = false;
  bool children_ended_ = false;
  bool draining_ = false;
  bool finishing_ = false;
  bool retired_ = false;
  bool queue_empty_ = false;  // while draining: nobody waited at the last look
  bool door_closed_ = false;  // nobody will come any more
  std::uint64_t refused_ = 0;
  Deadline pause_until_ = Deadline::after(sys::Duration::zero());
  Deadline warned_of_resources_ = Deadline::after(sys::Duration::zero());
};

}  // namespace

[[gnu::hot]] void run_acceptor(const ProcessContext& context, mp::RawArray<Slot>& slots) {
  settle_in(context, "acceptor, one child per connection");
  supervisor_pid = context.supervisor;
  Acceptor(context, slots).run();
}

}  // namespace forkecho::server
