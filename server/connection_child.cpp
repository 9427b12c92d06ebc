#include "server/connection_child.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "common/mp/fork.h"
#include "common/mp/fork_onto.h"
#include "common/mp/step.h"
#include "common/sys/check_syscall.h"
#include "common/sys/process_title.h"
#include "common/sys/raw_syscall.h"
#include "server/connection_title.h"
#include "server/ended_children.h"
#include "server/shortage.h"
#include "server/spares.h"

namespace forkecho::server {
namespace {

pid_t supervisor_pid = 0;
pid_t acceptor_pid = 0;

/// In a spare: nobody needs it any more.
volatile std::sig_atomic_t dismissed = 0;

void on_finish(int) {
  finish_current_connection();
}

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

/// The acceptor is told also of those that are ignored here: a blocked signal stays pending.
void install_handlers() {
  set_handler(SIGTERM, on_finish);
  set_handler(SIGHUP, on_parents_death);
  set_handler(SIGUSR1, on_leave);
  for (const int ignored : {SIGPIPE, SIGINT, SIGUSR2, SIGTTIN, SIGTTOU}) {
    set_handler(ignored, SIG_IGN);
  }
}

bool is_dismissed() {
  return dismissed != 0 || finishing();
}

[[noreturn, gnu::hot]] void leave(int exit_code) {
  for (;;) sys::raw_syscall(SYS_exit_group, exit_code);
}

}  // namespace

ConnectionChild::ConnectionChild(const ProcessContext& context)
    : listeners_(context.listeners),
      waits_(forks_ahead(context.options)),
      serve_options_{.transform = context.options.transform,
                     .timeouts = context.options.timeouts,
                     .stress = context.pages.admission.stress_word()},
      connection_filter_(context.confinement != nullptr ? context.confinement->connection_filter()
                                                        : nullptr) {
  supervisor_pid = context.supervisor;
  acceptor_pid = getpid();
  std::ranges::transform(listeners_, listener_fds_.begin(), &Listener::fd);
  install_handlers();
}

[[gnu::hot]] pid_t ConnectionChild::fork_for(int socket, Slot& slot) const {
  return mp::fork_onto(serving_stack(), begin_serving,
                       {.self = this, .number = socket, .what = &slot}, ended_signal());
}

[[gnu::hot]] void ConnectionChild::begin_serving(const void* self, long socket, void* slot) {
  static_cast<const ConnectionChild*>(self)->serve(static_cast<int>(socket),
                                                   *static_cast<Slot*>(slot));
}

[[gnu::hot]] pid_t ConnectionChild::fork_ahead(Slot& slot, int announcements) const {
  return mp::fork_onto(serving_stack(), begin_waiting,
                       {.self = this, .number = announcements, .what = &slot}, ended_signal());
}

[[gnu::hot]] void ConnectionChild::begin_waiting(const void* self, long announcements, void* slot) {
  static_cast<const ConnectionChild*>(self)->serve_next_client(*static_cast<Slot*>(slot),
                                                               static_cast<int>(announcements));
}

[[gnu::hot]] void ConnectionChild::serve(int socket, Slot& slot) const {
  FORKECHO_MP_STEP("acceptor.child.born");
  begin(slot);
  leave_listeners();
  show_in_title(slot.peer);
  take_connection_filter();
  mp::accept_signals();
  serve_and_leave(socket, slot);
}

[[gnu::hot]] void ConnectionChild::serve_next_client(Slot& slot, int announcements) const {
  begin(slot);
  sys::set_process_title("forkechod: worker, idle");
  mp::accept_signals();
  const AcceptedClient client = wait_for_client();
  FORKECHO_MP_STEP("spare.accept.taken");
  slot.peer = client.peer;
  slot.connections.set(1);
  slot.enter(SlotState::serving);
  FORKECHO_MP_STEP("spare.accept.told");
  Spares::announce(announcements);
  leave_listeners();
  show_in_title(slot.peer);
  take_connection_filter();
  serve_and_leave(client.socket.get(), slot);
}

[[gnu::hot]] void ConnectionChild::begin(Slot& slot) const {
  slot.pid.store(static_cast<pid_t>(sys::raw_syscall(SYS_getpid)), std::memory_order_relaxed);
  mp::die_with_parent(acceptor_pid, SIGHUP, supervisor_pid);
}

/// Leaves the process when nobody needs it any more.
[[gnu::hot]] AcceptedClient ConnectionChild::wait_for_client() const {
  for (;;) {
    if (listeners_.size() > 1) wait_for_any();
    for (const Listener& listener : listeners_) {
      if (is_dismissed()) leave(unused_spare);
      AcceptResult accepted = listener.accept();
      if (accepted.outcome == AcceptResult::Outcome::client) return std::move(accepted.client);
      if (accepted.outcome == AcceptResult::Outcome::closed) leave(unused_spare);
      if (accepted.outcome == AcceptResult::Outcome::exhausted)
        poll(nullptr, 0, static_cast<int>(Shortage::pause.count()));
    }
  }
}

void ConnectionChild::wait_for_any() const {
  std::array<pollfd, max_listeners> entries;
  nfds_t count = 0;
  for (const Listener& listener : listeners_)
    entries[count++] = {.fd = listener.fd(), .events = POLLIN, .revents = 0};
  poll(entries.data(), count, is_dismissed() ? 0 : -1);
}

[[gnu::hot]] void ConnectionChild::leave_listeners() const {
  if (acceptors_own_fd_ >= 0) sys::raw_syscall(SYS_close, acceptors_own_fd_);
  for (std::size_t i = 0; i < listeners_.size(); ++i) sys::raw_syscall(SYS_close, listener_fds_[i]);
}

[[gnu::hot]] void ConnectionChild::take_connection_filter() const {
  if (connection_filter_ != nullptr && !try_install(*connection_filter_)) _exit(setup_failed);
}

[[gnu::hot]] void ConnectionChild::serve_and_leave(int socket, Slot& slot) const {
  FORKECHO_MP_STEP("acceptor.child.ready");
  const Ending ending = serve_connection(socket, serve_options_, slot.meter);
  FORKECHO_MP_STEP("acceptor.child.served");
  leave(static_cast<int>(ending));
}

}  // namespace forkecho::server
