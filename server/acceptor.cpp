#include "server/acceptor.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>
#include <span>
#include <string>

#include "common/log/log.h"
#include "common/mp/lean_parent.h"
#include "common/mp/reap.h"
#include "common/mp/step.h"
#include "common/sys/check_syscall.h"
#include "common/sys/raw_syscall.h"
#include "server/accept_wait.h"
#include "server/access_log.h"
#include "server/backoff.h"
#include "server/believed_book.h"
#include "server/child_table.h"
#include "server/connection_child.h"
#include "server/ended_children.h"
#include "server/gate.h"
#include "server/pace.h"
#include "server/shortage.h"
#include "server/spares.h"

namespace forkecho::server {
namespace {

using sys::Deadline;

/// How many connections may be taken before children are reaped and signals heard again.
constexpr int accept_batch = 16;
constexpr int signals_at_once = 16;
/// So often in a turn, more than any number of listeners can bring in one: whoever has ended holds
/// a place until then.
constexpr int reap_batches = 2 * static_cast<int>(max_listeners);
constexpr std::size_t kernels_signal_set_bytes = 8;
/// How many may be found that nobody told of before clients are looked for again.
constexpr int looks_at_once = 16;
/// So long after the drain timeout clients may wait for room; after that they are refused, so that
/// they see an end before the daemon's own, at which they would be reset (supervisor.cpp,
/// finish_patience).
constexpr auto last_call_after = std::chrono::seconds(4);
/// After the drain timeout, children are told to finish as often as this until they are gone.
constexpr auto finish_repeat = std::chrono::milliseconds(50);
/// Whether spares still take clients is looked at as often as this.
constexpr auto spare_look = std::chrono::seconds(1);
/// Others are forked for spares that were taken when one has served, or after so long.
constexpr auto refill_patience = std::chrono::milliseconds(2);
/// What an accept may take that somebody else was quicker than, where listeners wait.
constexpr suseconds_t accept_patience_us = 10'000;

void on_alarm(int) {}

/// Every other signal is blocked since before the fork of this process, and stays so.
void hear_alarms() {
  struct sigaction action {};
  action.sa_handler = on_alarm;  // no SA_RESTART: accept must return
  sys::check_syscall(sigaction(SIGALRM, &action, nullptr), "sigaction");
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &alarm, nullptr);
}

/// Again and again, since the first may come before the call that it is to end.
class Alarm {
 public:
  Alarm() { set(accept_patience_us); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm() { set(0); }

 private:
  static void set(suseconds_t interval_us) {
    const itimerval interval{.it_interval = {.tv_sec = 0, .tv_usec = interval_us},
                             .it_value = {.tv_sec = 0, .tv_usec = interval_us}};
    setitimer(ITIMER_REAL, &interval, nullptr);
  }
};

sigset_t watched_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number :
       {ended_signal(), SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGQUIT})
    sigaddset(&signals, number);
  return signals;
}

sys::Descriptor watch_signals(const sigset_t& watched) {
  return sys::Descriptor(
      sys::check_syscall(signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd"));
}

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
      : options_(context.options),
        listeners_(context.listeners),
        page_(context.page()),
        book_(page_.book),
        slots_(slots),
        gate_(context, Accepting::polls, slots.size()),
        children_(static_cast<std::uint32_t>(slots.size())),
        child_(child),
        several_(context.peers > 1),
        watched_(watched_signals()),
        signals_(watch_signals(watched_)) {
    if (has_single_use_workers(options_)) hear_alarms();
    if (forks_ahead(options_))
      spares_.emplace(options_.pool, context.grown, static_cast<std::uint32_t>(slots.size()));
    keep_from_children(context);
    wait_.emplace(listeners_, signals_.get(), spares_ ? spares_->fd() : -1,
                  several_ ? AcceptWait::Acceptors::several : AcceptWait::Acceptors::one);
    child.keep_from_children(wait_->fd());
  }

  void run() {
    page_.door.store(Door::open, std::memory_order_release);
    while (!done()) {
      shortage_.refresh();
      wait_for_events();
      handle_signals();
      reap_children();
      if (retired_) shut_door();
      accept_connections();
      if (spares_) keep_spares();
    }
  }

 private:
  /// The books, and all that decides on admissions; the word of stress alone is for them.
  void keep_from_children(const ProcessContext& context) {
    if (gate_.counts_sources()) sources_.emplace(slots_.size()).memory().keep_from_children();
    slots_.keep_list_from_children();
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
    const bool over = retired_ || (draining_ && (queue_empty_ || door_closed_));
    return over && children_.size() == 0;
  }

  bool leaving() const { return draining_ || retired_; }

  bool may_accept() {
    return !retired_ && !door_closed_ && !shortage_.lasts() && !spares_accept() && gate_.is_open();
  }

  /// While there are spares the clients are theirs: they wait already.
  bool spares_accept() const {
    return spares_ && spares_->idle() > 0 && !draining_ && !spares_fail_;
  }

  // --- Waiting

  void wait_for_events() {
    // Asked once: the answer may be another a moment later, and a wait for what has happened
    // already would have no end.
    const bool accepts = may_accept();
    const AcceptWait::Heard heard = wait_->wait(accepts, wait_deadline(accepts));
    if (heard.nothing_asked) poll(nullptr, 0, static_cast<int>(Shortage::pause.count()));
    signals_pending_ = heard.signals || heard.nothing_asked;
    clients_wait_ = heard.clients || heard.nothing_asked;
  }

  Deadline wait_deadline(bool accepts) {
    Deadline deadline = earlier(shortage_.until(), next_look_at_all());
    deadline = earlier(deadline, tell_again_);
    if (spares_) deadline = earlier(deadline, spares_deadline());
    if (!accepts && !retired_) deadline = earlier(deadline, gate_.look_again());
    if (accepts && draining_ && !queue_empty_) deadline = Deadline::immediately();
    return deadline;
  }

  // --- Signals

  void handle_signals() {
    if (tell_again_.passed()) tell_to_finish();
    if (last_call_.passed()) gate_.set_closing(Closing::last_call);
    if (leaving() && spares_) dismiss_spares();
    if (signals_pending_) more_signals_ = read_signals();
  }

  /// Some of them: whether there may be more. Not by read: it has no pid of those that tell of an
  /// end, which a signalfd knows of SIGCHLD alone.
  bool read_signals() {
    const timespec at_once{};
    for (int i = 0; i < signals_at_once; ++i) {
      siginfo_t info;
      // Silent: mostly the second finds nothing.
      const auto number = static_cast<int>(sys::silent_syscall(
          SYS_rt_sigtimedwait, &watched_, &info, &at_once, kernels_signal_set_bytes));
      if (number < 0) return false;
      if (const auto ended = exit_told_by(info)) {
        ended_[ended_count_++] = *ended;
      } else {
        handle_signal(number);
      }
    }
    return true;
  }

  void handle_signal(int number) {
    looks_.something_happened();
    switch (number) {
      case SIGCHLD:
        looks_.at_once();
        break;
      case SIGTERM:
        draining_ = true;
        gate_.set_closing(Closing::draining);
        break;
      case SIGUSR1:
        // Who was woken for a client woke nobody else for him.
        if (several_ && !retired_) accept_connections();
        retired_ = true;
        if (spares_) dismiss_spares();
        break;
      case SIGUSR2:
        draining_ = true;
        if (tell_again_.is_never()) last_call_ = Deadline::after(last_call_after);
        tell_to_finish();
        break;
      case SIGTTIN:
      case SIGTTOU:
        if (spares_) grow(number == SIGTTIN ? 1 : -1);
        break;
      case SIGQUIT:
        draining_ = door_closed_ = true;
        tell_children(SIGKILL);
        break;
      default:  // one that only a child sends, and that none has sent
        break;
    }
  }

  /// Spares take clients in until they are gone.
  void shut_door() {
    if (!spares_ || spares_->idle() == 0) page_.door.store(Door::shut, std::memory_order_release);
  }

  void tell_to_finish() {
    tell_children(SIGTERM);
    tell_again_ = Deadline::after(finish_repeat);
  }

  void tell_children(int number) const {
    // Each is an unreaped child of ours, so its pid cannot be another's.
    children_.for_each_pid([number](pid_t pid) { kill(pid, number); });
  }

  // --- Children that have ended

  void reap_children() {
    reap_told();
    for (int i = 1; i < reap_batches && more_signals_; ++i) {
      more_signals_ = read_signals();
      reap_told();
    }
    for (int i = 0; i < looks_at_once && next_look_at_all().passed(); ++i) look_at_all();
  }

  /// Those of whom a signal has told.
  void reap_told() {
    if (spares_) count_taken();
    for (std::size_t i = 0; i < ended_count_; ++i) reap(ended_[i]);
    ended_count_ = 0;
  }

  Deadline next_look_at_all() const {
    return children_.size() > 0 ? looks_.next() : Deadline::never();
  }

  /// For one that no signal told of. The kernel sends it before anybody can see that the child has
  /// ended; so it is here, or lost, once such a child is seen.
  void look_at_all() {
    const auto begun = sys::Clock::now();
    const auto seen = mp::peek_ended();
    if (seen) {
      do {
        reap_told();
      } while (read_signals());
      reap_told();
      if (const auto untold = mp::peek_one(seen->pid).exit) reap(*untold);
    }
    looks_.looked(seen.has_value(), sys::Clock::now() - begun);
  }

  /// A child is booked before it is reaped, and noted until it is both (scoreboard.h, Reaping):
  /// what it came to is not lost if we are killed in between.
  void reap(const mp::Exit& ended) {
    page_.reaping.begin(ended.pid, book_);
    account_for(ended);
    FORKECHO_MP_STEP("acceptor.reap.booked");
    mp::reap_one(ended.pid);
    FORKECHO_MP_STEP("acceptor.reap.done");
    page_.reaping.end();
    looks_.something_happened();
  }

  void account_for(const mp::Exit& exit) {
    FORKECHO_MP_STEP("acceptor.reap.found");
    const auto slot_index = children_.remove(exit.pid);
    if (!slot_index) return;
    Slot& slot = slots_[*slot_index];
    book_.bytes_in.add(believable_bytes(slot.meter.bytes_in.get()));
    book_.bytes_out.add(believable_bytes(slot.meter.bytes_out.get()));
    const bool said_so = slot.state.load(std::memory_order_relaxed) == SlotState::serving;
    if (slot.pid.load(std::memory_order_relaxed) != exit.pid) repair_slots();
    book_.reaped.add(1);
    if (had_client_of_ours(exit, said_so)) book_connection(slot, exit);
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    slot.pid.store(0, std::memory_order_relaxed);
    give_back(*slot_index);
    gate_.ended(source_of_slot(*slot_index));
  }

  /// A spare that was not seen to take a client may have had one all the same.
  bool had_client_of_ours(const mp::Exit& exit, bool said_so) {
    refill_at_ = Deadline::immediately();
    if (!spares_ || !spares_->remove(exit.pid)) return true;
    if (had_client(exit.exitcode, said_so)) {
      book_.accepted.add(1);
      return true;
    }
    if (!leaving() && exit.exitcode != unused_spare) tell_of_early_death(exit);
    return false;
  }

  void book_connection(const Slot& slot, const mp::Exit& exit) {
    const Ending ending = ending_of_exitcode(exit.exitcode);
    if (ending == Ending::crashed) warn_of_crash(exit);
    book_ending(
        page_, [&] { return describe_connection(slot, AccessRole::child, outcome_of(ending)); },
        [&] { book_.record(ending); });
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

  Source source_of_slot(std::uint32_t slot_index) const {
    return sources_ ? (*sources_)[slot_index] : Source::uncounted;
  }

  // --- Clients

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
    AcceptResult accepted = accept_now(listener);
    if (accepted.outcome != AcceptResult::Outcome::client) gate_.nobody_came();
    switch (accepted.outcome) {
      case AcceptResult::Outcome::client:
        FORKECHO_MP_STEP("acceptor.accept.taken");
        book_.accepted.add(1);
        FORKECHO_MP_STEP("acceptor.accept.booked");
        take_in(std::move(accepted.client));
        return true;
      case AcceptResult::Outcome::exhausted:
        if (accepted.error == EMFILE && spare_descriptor_.give_up()) return accept_one(listener);
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

  /// Of single-use workers the listener waits in accept, as spares shall; they, or those of another
  /// generation, may be quicker than we are.
  AcceptResult accept_now(const Listener& listener) const {
    if (!has_single_use_workers(options_)) return listener.accept();
    if (!listener.has_waiting_client())
      return {.outcome = AcceptResult::Outcome::none, .client = {}};
    const Alarm alarm;
    return listener.accept();
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
    const std::uint32_t slot_index = take_slot();
    Slot& slot = slots_[slot_index];
    prepare(slot, client.peer, SlotState::serving);
    if (sources_) (*sources_)[slot_index] = gate_.source();
    FORKECHO_MP_STEP("acceptor.fork.before");
    const pid_t pid = child_.fork_for(client.socket.get(), slot);
    if (pid < 0) {
      fork_failed(std::move(client), slot, slot_index);
      return;
    }
    FORKECHO_MP_STEP("acceptor.fork.after");
    if (spares_) pace_.came(1, entered(slot));
    enter_child(pid, slot_index);
    FORKECHO_MP_STEP("acceptor.fork.booked");
  }

  std::uint32_t take_slot() {
    const std::uint32_t index = children_.take_slot();
    slots_.use(index);
    return index;
  }
  void give_back(std::uint32_t index) {
    slots_.leave(index);
    children_.give_back(index);
  }

  void enter_child(pid_t pid, std::uint32_t slot_index) {
    Slot& slot = slots_[slot_index];
    const sys::Duration took = sys::Clock::now() - entered(slot);
    book_.forked.add(1);
    looks_.something_happened();
    slot.pid.store(pid, std::memory_order_relaxed);
    children_.insert(pid, slot_index);
    page_.fork_times.record(took);
    if (spares_) pace_.forked(took);
  }

  static sys::Clock::time_point entered(const Slot& slot) {
    return sys::Clock::time_point(sys::Duration(slot.since_ns.load(std::memory_order_relaxed)));
  }

  static void prepare(Slot& slot, const PeerAddress& peer, SlotState state) {
    slot.peer = peer;
    slot.meter.bytes_in.set(0);
    slot.meter.bytes_out.set(0);
    slot.connections.set(state == SlotState::serving ? 1 : 0);
    slot.enter(state);
  }

  void fork_failed(AcceptedClient client, Slot& slot, std::uint32_t slot_index) {
    shortage_.begin("cannot fork a child for a connection", errno,
                    "it is closed, and the next wait in the queue");
    slot.state.store(SlotState::free, std::memory_order_relaxed);
    give_back(slot_index);
    gate_.ended(source_of_slot(slot_index));
    book_ending(
        page_,
        [&] {
          return describe_arrival(client.peer, AccessRole::acceptor, AccessOutcome::fork_failed);
        },
        [&] { book_.fork_failed.add(1); });
    shortage_.see_off(std::move(client));
  }

  // --- Single-use workers, forked ahead

  Deadline spares_deadline() const {
    if (leaving()) return spares_->idle() > 0 ? Deadline::after(finish_repeat) : Deadline::never();
    if (shortage_.lasts()) return Deadline::never();
    if (pace_.is_hurried(sys::Clock::now()))
      return earlier(next_look_, Deadline::at(pace_.calm_at()));
    return earlier(next_look_, Deadline::at(std::max(refill_at_.when(), no_spares_before_.when())));
  }

  void count_taken() {
    const unsigned taken = spares_->collect(slots_.all());
    if (taken == 0) return;
    book_.accepted.add(taken);
    spares_backoff_.succeeded();
    pace_.came(taken, sys::Clock::now());
    if (refill_at_.is_never()) refill_at_ = Deadline::after(refill_patience);
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
    if (pace_.is_hurried(sys::Clock::now()) || !no_spares_before_.passed()) return;
    if (spares_->can_wait() && !refill_at_.passed()) return;
    const PoolDecision decision = spares_->decide(children_.size());
    // Where it is a burst, or somebody is refused, there are more to come.
    refill_at_ = decision.spawn > 0 ? Deadline::after(refill_patience) : Deadline::never();
    for (unsigned i = 0; i < decision.spawn && !shortage_.lasts() && gate_.claim_place(); ++i)
      fork_spare();
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
    refill_at_ = Deadline::immediately();
    next_look_ = Deadline::immediately();
  }

  void dismiss_spares() const {
    spares_->for_each_pid([](pid_t pid) { kill(pid, SIGUSR1); });
  }

  void dismiss_one_spare() const {
    bool done = false;
    spares_->for_each_pid([&done](pid_t pid) { done = done || kill(pid, SIGUSR1) == 0; });
  }

  /// Its place is claimed.
  void fork_spare() {
    const std::uint32_t slot_index = take_slot();
    Slot& slot = slots_[slot_index];
    prepare(slot, {}, SlotState::idle);
    const pid_t pid = child_.fork_ahead(slot, spares_->fd());
    if (pid < 0) {
      shortage_.begin("cannot fork a worker ahead", errno, "clients wait in the queue");
      slot.state.store(SlotState::free, std::memory_order_relaxed);
      give_back(slot_index);
      gate_.ended(Source::uncounted);
      return;
    }
    enter_child(pid, slot_index);
    spares_->add(pid, slot_index);
  }

  const Options& options_;
  const std::span<const Listener> listeners_;
  ProcessPage& page_;
  Book& book_;
  SlotTable& slots_;
  Gate gate_;
  std::optional<mp::RawArray<Source>> sources_;  // by slot; private, as the table of children is
  ChildTable children_;
  std::array<mp::Exit, signals_at_once> ended_;  // told of, and not reaped
  std::size_t ended_count_ = 0;
  LooksAtAll looks_;
  const ConnectionChild& child_;  // not with us, where children do not see it
  const bool several_;            // acceptors with the same listeners
  const sigset_t watched_;
  const sys::Descriptor signals_;  // for the wait alone
  std::optional<AcceptWait> wait_;
  bool signals_pending_ = false;
  bool more_signals_ = false;
  bool clients_wait_ = false;
  bool draining_ = false;
  Deadline tell_again_ = Deadline::never();  // children, that they shall finish
  bool retired_ = false;
  bool queue_empty_ = false;  // while draining: nobody waited at the last look
  bool door_closed_ = false;  // nobody will come any more
  Deadline last_call_ = Deadline::never();
  Shortage shortage_;
  SpareDescriptor spare_descriptor_;

  std::optional<Spares> spares_;  // where workers are forked ahead
  Pace pace_;
  Backoff spares_backoff_;
  Deadline no_spares_before_ = Deadline::immediately();
  bool spares_fail_ = false;      // somebody waits, and has waited, though there are spares
  bool somebody_waited_ = false;  // at the last look
  Deadline next_look_ = Deadline::immediately();
  Deadline refill_at_ = Deadline::immediately();  // unless too few spares are left
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
