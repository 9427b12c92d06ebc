#include "server/supervisor.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "common/log/log.h"
#include "common/mp/orphans.h"
#include "common/mp/reap.h"
#include "common/sys/process_title.h"
#include "server/access_log.h"
#include "server/admission_watch.h"
#include "server/closing_doors.h"
#include "server/control_socket.h"
#include "server/duties.h"
#include "server/exit_code.h"
#include "server/exporter_keeper.h"
#include "server/final_status.h"
#include "server/generations.h"
#include "server/life_cycle.h"
#include "server/listener.h"
#include "server/log_relay.h"
#include "server/memory_reserve.h"
#include "server/open_listeners.h"
#include "server/pid_file.h"
#include "server/process_context.h"
#include "server/reload.h"
#include "server/shortage.h"
#include "server/status.h"
#include "server/stopped_processes.h"
#include "server/successor.h"
#include "server/upgrade.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using sys::Clock;

constexpr auto busy_tick = 100ms;  // the pool is watched as often as this while it works
constexpr auto quiet_tick = 1s;
constexpr auto drain_tick = 25ms;
/// Metrics are published as often as this at most, and on every change of state.
constexpr auto publishing_pause = 90ms;
constexpr auto replacing_tick = 2ms;  // a new generation settles in
/// What the orderly end of the last connections may take: twice serve_connection.h's bound, and
/// some.
constexpr auto finish_patience = 5s;
/// What daemons that were told to end at once may take for it.
constexpr auto dying_patience = 2s;

/// What tells the exporter's listener from others in a handover.
const std::string metrics_mark = "metrics ";

Listener take_or_open_for_metrics(const std::string& address,
                                  std::list<Inheritance::Socket>& inherited) {
  if (auto listener = take_matching(inherited, metrics_mark + address, {}))
    return std::move(*listener);
  return open_metrics_listener(address);
}

/// An event worker holds a descriptor per connection.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class Supervisor {
 public:
  Supervisor(const Options& options, Inheritance&& inherited)
      : called_as_(inherited.called_as),
        duties_(context_, options, inherited,
                [this](const std::string& request, const ControlSocket::Reply& reply) {
                  answer(request, reply);
                }),
        final_status_(options.final_status),
        listeners_(open_listeners(options, inherited.listeners)),
        generations_(std::make_shared<const Options>(options), listeners_),
        signals_(context_, SIGTERM, SIGINT, SIGQUIT),
        other_signals_(context_, SIGCHLD, SIGHUP, SIGUSR1),
        tick_(context_),
        asked_for_(options.listen) {
    other_signals_.add(SIGUSR2);
    other_signals_.add(SIGTTIN);
    other_signals_.add(SIGTTOU);
    log::set_relay(log_relay_.writer());
    set_access_relay(access_relay_.writer(), [this] { access_relay_.pass_on_all(); });
    // Who reads our log may go away.
    signal(SIGPIPE, SIG_IGN);
    mp::adopt_orphans();
    raise_descriptor_limit();
    if (!options.metrics.empty()) keep_exporter(options.metrics, inherited.listeners);
    sys::set_process_title("forkechod: supervisor, mode " + std::string(to_string(options.mode)));
    if (inherited.is_handover()) begin_succession(std::move(inherited));
  }

  void run(const std::function<void()>& on_ready) {
    listen_for_signals();
    listen_for_other_signals();
    generations_.start();
    happen(LifeEvent::ready);
    maintain_exporter();
    on_ready();
    if (duties_.are_ours()) duties_.manager().ready(summary());
    schedule_tick();
    while (!over()) context_.run_one();
    if (duties_.are_ours())
      for (const Listener& listener : listeners_) listener.remove_path();
    log_relay_.pass_on_all();
    access_relay_.pass_on_all();
    log::info("{}", books_line(generations_.totals()));
    leave_final_status();
    log::info("ended");
  }

 private:
  void leave_final_status() {
    if (!final_status_.is_asked_for() || !was_the_daemon_) return;
    const std::string text = to_json(status()).dump() + "\n";
    try {
      duties_.are_ours() ? final_status_.write(text) : final_status_.write_beside(text);
    } catch (const FatalError& error) {
      log::error("{}", error.what());
      throw;
    }
  }

  bool over() {
    if (state_ < State::draining || !generations_.empty()) return false;
    if (duties_.are_ours() && !predecessors_.alive().empty() && !end_deadline_.passed())
      return false;
    return doors_.empty() || state_ == State::ending;
  }

  /// What the system refuses now is done at a later tick: the loop goes on.
  template <typename Deed>
  void survive(Deed deed) {
    try {
      deed();
    } catch (const std::bad_alloc&) {
      shortage_.tell("the supervisor", ENOMEM, "it tries again");
    } catch (const std::system_error& error) {
      if (!is_shortage(error.code().value())) throw;
      shortage_.tell(error.what(), error.code().value(), "the supervisor tries again");
    }
    memory_reserve_.renew();
  }

  void listen_for_signals() {
    signals_.async_wait([this](const asio::error_code& error, int number) {
      if (error) return;
      survive([&] { happen(number == SIGQUIT ? LifeEvent::quit : LifeEvent::stop); });
      listen_for_signals();
    });
  }

  void listen_for_other_signals() {
    other_signals_.async_wait([this](const asio::error_code& error, int number) {
      if (error) return;
      survive([this, number] { act_on(number); });
      listen_for_other_signals();
    });
  }

  void keep_exporter(const std::string& address, std::list<Inheritance::Socket>& inherited) {
    const auto settle = [this, supervisor = getpid()](std::span<const Listener> listeners,
                                                      const std::string& title) {
      const Confinement& confinement = generations_.current().confinement();
      generations_.make_memory_read_only();
      settle_in(
          CommonContext{
              .listeners = listeners, .supervisor = supervisor, .confinement = &confinement},
          title);
      confinement.restrict_calls(Role::exporter);
    };
    exporter_.emplace(take_or_open_for_metrics(address, inherited), settle);
  }

  /// Of two daemons during an upgrade, one serves metrics.
  void maintain_exporter() {
    if (!exporter_ || !duties_.are_ours()) return;
    exporter_->maintain();
    publish_metrics();
  }

  void publish_metrics() {
    if (!exporter_ || !publish_next_.passed()) return;
    publish_next_ = sys::Deadline::after(publishing_pause);
    Metrics metrics = to_metrics(figures());
    metrics.started_at = started_at_;
    exporter_->publish(metrics);
  }

  /// Once it can be written again, the log tells what could not.
  void tell_of_lost_lines() {
    const BookTotals totals = generations_.totals();
    const std::uint64_t lost = totals.log_lost + log::dropped();
    const std::uint64_t access_lost = totals.access_log_lost + access_lines_lost();
    if (lost == told_lost_ && access_lost == told_access_lost_) return;
    const std::string line = fmt::format(
        "{} lines of the log and {} of the access log could not be written and are lost",
        lost - told_lost_, access_lost - told_access_lost_);
    if (!log::try_write(log::Level::error, line)) return;
    told_lost_ = lost;
    told_access_lost_ = access_lost;
  }

  void act_on(int signal) {
    switch (signal) {
      case SIGCHLD:
        return reap();
      case SIGHUP:
        return begin_reload({});
      case SIGUSR1:
        reopen_logs();
        return;
      case SIGUSR2:
        return begin_upgrade({});
      case SIGTTIN:
        return grow(1);
      default:
        return grow(-1);
    }
  }

  void grow(int by) {
    const char* name = by > 0 ? "TTIN" : "TTOU";
    if (state_ != State::running) return log::info("signal {} has no effect now", name);
    log::info("signal {}: {}", name, generations_.current().grow(by));
  }

  void begin_reload(Reload::Answer answer) {
    if (upgrade_ || !left_.empty()) {
      const std::string line = "no reload: an upgrade is under way; the new daemon reads the file";
      log::warning("{}", line);
      if (answer) answer("error: " + line + "\n");
      return;
    }
    reload_.ask(std::move(answer));
    schedule_tick();
  }

  /// The answer for the control socket. It alone has the files open, see log_relay.h.
  std::string reopen_logs() {
    const std::string& file = generations_.options().log.file;
    if (file.empty() && !has_access_log()) {
      log::info("the log goes to standard error: there is no file to open anew");
      return "ok\n";
    }
    log_relay_.pass_on_all();
    access_relay_.pass_on_all();
    try {
      if (!file.empty()) log::reopen(file);
      if (has_access_log()) reopen_access_log(generations_.options().access_log);
    } catch (const std::system_error& error) {
      log::error("{}; the old one stays in use", error.what());
      return "error: " + std::string(error.what()) + "; the old one stays in use\n";
    }
    predecessors_.tell(SIGUSR1);  // they write to the same files while they last
    log::info("the log file was opened anew; no process writes to the old one any more");
    return "ok\n";
  }

  void reap() {
    take_in_the_dead();
    if (state_ == State::running) generations_.maintain();
  }

  /// The one loop over all that have ended; whoever started it takes it in.
  void take_in_the_dead() {
    while (const auto ended = mp::peek_ended()) {
      const pid_t pid = ended->pid;
      if (generations_.take_ended(pid)) continue;
      if (exporter_ && exporter_->take_ended(pid)) continue;
      mp::reap_one(pid);  // as process 1 one inherits strangers, too
    }
  }

  Clock::duration time_to_next_tick() const {
    if (state_ >= State::draining) return drain_tick;
    if (reload_.is_busy() || is_about_to_report()) return replacing_tick;
    if (!left_.empty()) return drain_tick;
    if (generations_.is_busy() || AdmissionWatch::needs_short_ticks(generations_.options()))
      return busy_tick;
    return std::min<Clock::duration>(quiet_tick, duties_.manager().longest_pause());
  }

  void schedule_tick() {
    tick_.expires_after(time_to_next_tick());
    tick_.async_wait([this](const asio::error_code& error) {
      if (error) return;
      survive([this] { on_tick(); });
      schedule_tick();
    });
  }

  void on_tick() {
    stopped_.look(Clock::now());
    duties_.manager().tick(Clock::now());
    take_in_the_dead();
    maintain_exporter();
    tell_of_lost_lines();
    admissions_.tick(generations_, generations_.totals(), Clock::now());
    predecessors_.alive();
    switch (state_) {
      case State::starting:
        break;
      case State::running:
        generations_.maintain();
        reload_.keep_going();
        if (is_about_to_report()) report_when_ready();
        if (!left_.empty()) watch_the_doors_left();
        break;
      case State::draining:
        keep_draining();
        break;
      case State::finishing:
        keep_finishing();
        break;
      case State::ending:
        generations_.kill_all();
        break;
    }
  }

  /// The one place where the state changes, and what a change brings about.
  void happen(LifeEvent event) {
    if (upgrade_ && (event == LifeEvent::stop || event == LifeEvent::quit))
      std::shared_ptr(upgrade_)->give_up("is not wanted any more: the daemon is to end");
    const State before = state_;
    state_ = next_state(before, event);
    if (state_ == before) return;
    if (state_ >= State::draining) reload_.give_up();
    switch (state_) {
      case State::starting:
        break;
      case State::running:
        announce();
        break;
      case State::draining:
        begin_drain();
        break;
      case State::finishing:
        begin_finish();
        break;
      case State::ending:
        end_at_once();
        break;
    }
    if (state_ >= State::draining) schedule_tick();
    publish_next_ = sys::Deadline::immediately();
    publish_metrics();
  }

  void announce() const {
    for (const Listener& listener : addresses()) {
      log::info("listening on {}, mode {}, pid {}", listener.address().to_string(),
                to_string(generations_.options().mode), getpid());
    }
  }

  /// For the service manager's status line.
  std::string summary() const {
    std::string text = "serving on";
    for (const Listener& listener : listeners_) text += " " + listener.address().to_string();
    return text;
  }

  /// The door stays open for others: for the daemon that replaces this one, or whoever is started
  /// next with the service manager's sockets. Then this one only accepts nobody more.
  bool leaves_the_door_open() const {
    return !duties_.are_ours() || listeners_.front().owner() == Listener::Owner::service_manager;
  }

  void begin_drain() {
    if (duties_.are_ours()) duties_.manager().stopping("draining");
    log::info("draining: {} connections are open, the limit is {} s",
              generations_.totals().active(),
              std::chrono::duration<double>(generations_.options().timeouts.drain).count());
    drain_deadline_ = generations_.options().timeouts.drain == 0s
                          ? sys::Deadline::never()
                          : sys::Deadline::after(generations_.options().timeouts.drain);
    if (leaves_the_door_open()) return generations_.retire_all();
    // The door first: whoever is told to drain afterwards may take an empty queue for the end of
    // it.
    for (const Listener& listener : listeners_) doors_.close(listener, Clock::now());
    generations_.tell(SIGTERM, 0);
  }

  void keep_draining() {
    if (leaves_the_door_open()) {
      generations_.maintain();
    } else {
      generations_.tell(SIGTERM, 0);  // again: the first may have come between a check and a wait
      doors_.watch(Clock::now());
      generations_.maintain_drain();
    }
    if (drain_deadline_.passed()) happen(LifeEvent::drain_timeout);
  }

  void begin_finish() {
    log::warning(
        "the drain timeout has passed with {} connections open: they are answered and closed",
        generations_.totals().active());
    finish_deadline_ = sys::Deadline::after(finish_patience);
    keep_finishing();
  }

  void keep_finishing() {
    generations_.tell(SIGUSR2, SIGTERM);
    if (leaves_the_door_open()) {
      generations_.maintain();
    } else {
      doors_.watch(Clock::now());
      generations_.maintain_drain();
    }
    if (finish_deadline_.passed()) happen(LifeEvent::finish_timeout);
  }

  void end_at_once() {
    if (duties_.are_ours()) {
      duties_.manager().stopping("ending at once");
      predecessors_.tell(SIGQUIT);
    }
    end_deadline_ = sys::Deadline::after(dying_patience);
    log::warning("ending at once with {} connections open", generations_.totals().active());
    if (!leaves_the_door_open())
      for (const Listener& listener : listeners_) listener.stop_listening();
    generations_.kill_all();
  }

  // --- taking over from the daemon before ---

  /// Nothing that the old daemon still needs is touched until it says so.
  void begin_succession(Inheritance&& inherited) {
    was_the_daemon_ = false;
    predecessors_ = Predecessors(std::move(inherited.predecessors));
    successor_.emplace(context_, std::move(inherited.channel));
    inherited.listeners.clear();  // not asked for any more; the old daemon sees to who waits there
  }

  bool is_about_to_report() const { return successor_ && !has_reported_; }

  void report_when_ready() {
    if (!generations_.current().is_ready()) return;
    has_reported_ = true;
    log::info("ready to take over from the daemon before");
    std::vector<int> own = duties_.descriptors();
    for (const Listener& listener : listeners_) own.push_back(listener.fd());
    if (exporter_) own.push_back(exporter_->listener().fd());
    successor_->report_ready(own, [this] { take_up_duties(); });
  }

  void take_up_duties() {
    was_the_daemon_ = true;
    duties_.take_up(summary());
    successor_->report_done();
    log::info("took over from the daemon before");
  }

  // --- being replaced ---

  /// Why there cannot be an upgrade now; empty when there can.
  std::string objection_to_upgrade() const {
    if (getpid() == 1)
      return "process 1 of a container cannot be replaced: its end is the container's; start a new "
             "container instead";
    if (called_as_.program.empty()) return "the path of this program is not known";
    if (upgrade_ || !left_.empty()) return "an upgrade is under way";
    if (state_ != State::running) return "the daemon is " + std::string(to_string(state_));
    if (!duties_.are_ours()) return "this daemon has not taken over from the one before yet";
    if (generations_.is_replacing()) return "a reload is under way; try again when it is done";
    return {};
  }

  Handover make_handover() {
    self_ = mp::open_sentinel(getpid());
    predecessors_.alive();
    Handover handover{.channel = -1,
                      .pidfile = duties_.pid_file(),
                      .control = duties_.control(),
                      .predecessors = predecessors_.descriptors(),
                      .listeners = {}};
    handover.predecessors.push_back(self_.get());
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
      // A service manager's are not what was asked for.
      const bool own = listeners_[i].owner() == Listener::Owner::daemon;
      handover.listeners.push_back(
          {.fd = listeners_[i].fd(),
           .owner = listeners_[i].owner(),
           .text = own ? asked_for_[i % addresses().size()] : std::string()});
    }
    if (exporter_) {
      handover.listeners.push_back({.fd = exporter_->listener().fd(),
                                    .owner = exporter_->listener().owner(),
                                    .text = metrics_mark + generations_.options().metrics});
    }
    return handover;
  }

  /// `reply` may be empty.
  void begin_upgrade(const ControlSocket::Reply& reply) {
    if (const std::string objection = objection_to_upgrade(); !objection.empty()) {
      log::warning("no upgrade: {}", objection);
      if (reply) reply("error: no upgrade: " + objection + "\n");
      return;
    }
    log::info("upgrade: starting '{}'", called_as_.program);
    upgrade_reply_ = reply;
    upgrade_ = std::make_shared<Upgrade>(
        context_, generations_.options().upgrade_timeout,
        Upgrade::Events{.is_ready = [this](const std::vector<int>& taken) { hand_over(taken); },
                        .replaced = [this] { on_replaced(); },
                        .failed = [this](const std::string& why) { on_upgrade_failed(why); }});
    try {
      upgrade_->start(called_as_, make_handover());
    } catch (const std::system_error& error) {
      on_upgrade_failed(std::string("the new program could not be started: ") + error.what());
    }
  }

  void hand_over(const std::vector<int>& taken) {
    taken_ = taken;
    handing_over_ = true;
    duties_.hand_to(upgrade_->pid());
    upgrade_->take_over();
  }

  void on_upgrade_failed(const std::string& why) {
    log::error("upgrade failed, and nothing has changed: {}", why);
    if (std::exchange(handing_over_, false)) duties_.take_back();
    conclude_upgrade("error: upgrade failed, and nothing has changed: " + why + "\n");
  }

  void conclude_upgrade(const std::string& answer) {
    upgrade_.reset();
    self_.reset();
    if (const auto reply = std::exchange(upgrade_reply_, nullptr)) reply(answer);
  }

  void on_replaced() {
    log::info("replaced by process {}", upgrade_->pid());
    duties_.leave(taken_);
    conclude_upgrade("ok\n");
    if (exporter_ && was_taken(exporter_->listener().fd())) exporter_->leave_listener();
    exporter_.reset();
    for (const Listener& listener : listeners_)
      if (!was_taken(listener.fd())) left_.close(listener, Clock::now());
    if (left_.empty()) happen(LifeEvent::stop);
  }

  bool was_taken(int fd) const {
    return std::find(taken_.begin(), taken_.end(), fd) != taken_.end();
  }

  /// Of listeners that the new daemon does not want: nobody who waits there is lost.
  void watch_the_doors_left() {
    left_.watch(Clock::now());
    if (left_.empty()) happen(LifeEvent::stop);
  }

  void answer(const std::string& request, const ControlSocket::Reply& reply) {
    if (request == "upgrade") return begin_upgrade(reply);
    if (request == "reload") return begin_reload(reply);
    reply(answer_at_once(request));
  }

  std::string answer_at_once(const std::string& request) {
    if (request == "status") return to_json(status()).dump() + "\n";
    if (request == "reopen-logs") return reopen_logs();
    if (request == "stop" || request == "stop now") {
      // Asking twice to stop is no impatience, unlike a second signal: only "now" is.
      if (request == "stop now") {
        happen(LifeEvent::quit);
      } else if (state_ < State::draining) {
        happen(LifeEvent::stop);
      }
      return "ok\n";
    }
    return "error: unknown request\n";
  }

  /// A listener of each address.
  std::span<const Listener> addresses() const {
    const Options& options = generations_.options();
    const std::span<const Listener> all(listeners_);
    return has_listeners_of_their_own(options) ? all.first(options.listen.size()) : all;
  }

  /// Of the address that listener `first` is the first of: over all its queues.
  std::optional<AcceptQueue> accept_queue_at(std::size_t first) const {
    std::optional<AcceptQueue> sum = accept_queue_of(listeners_[first].fd());
    for (std::size_t i = first + addresses().size(); sum && i < listeners_.size();
         i += addresses().size()) {
      const auto queue = accept_queue_of(listeners_[i].fd());
      if (!queue) continue;
      sum->length += queue->length;
      sum->limit += queue->limit;
    }
    return sum;
  }

  std::optional<PoolStatus> pool_status() const {
    const ProcessTree& tree = generations_.current();
    if (tree.options().mode != Mode::pool) return std::nullopt;
    return PoolStatus{
        .accept = tree.options().accept, .sizes = tree.sizes(), .grown = tree.grown()};
  }

  /// The status without its slots.
  Status figures() {
    const auto now = Clock::now();
    Status status{.pid = getpid(),
                  .mode = generations_.options().mode,
                  .state = state_,
                  .uptime_s = std::chrono::duration<double>(now - started_).count(),
                  .listen = {},
                  .books = generations_.totals(),
                  .children = generations_.children(),
                  .confinement = generations_.current().confinement_status(),
                  .generations = generations_.views(),
                  .metrics = exporter_ ? exporter_->address() : "",
                  .exporter = exporter_ ? exporter_->pid() : 0,
                  .stress = admissions_.stressed(),
                  .predecessors = predecessors_.alive(),
                  .slots = {},
                  .slots_omitted = 0};
    status.log_lost = status.books.log_lost + log::dropped();
    status.access_log_lost = status.books.access_log_lost + access_lines_lost();
    const auto addresses = this->addresses();
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      status.listen.push_back(addresses[i].address().to_string());
      status.accept_queues.push_back(accept_queue_at(i));
    }
    status.pool = pool_status();
    status.acceptors = generations_.current().acceptors();
    if (const auto served = generations_.current().served_by_each(); !served.empty())
      status.workers = fairness_of(served);
    return status;
  }

  Status status() {
    const auto now = Clock::now();
    Status status = figures();
    status.slots_omitted = generations_.visit_slots(
        generations_.options().status_slots,
        [&](const Slot& slot) { status.slots.push_back(read_slot(slot, now)); });
    return status;
  }

  const Invocation called_as_;
  asio::io_context context_{1};
  Duties duties_;
  const FinalStatus final_status_;
  const std::vector<Listener> listeners_;
  MemoryReserve memory_reserve_;
  RepeatedWarning shortage_;
  StoppedProcesses stopped_;
  Generations generations_;
  AdmissionWatch admissions_;
  asio::signal_set signals_;
  asio::signal_set other_signals_;
  asio::steady_timer tick_;
  LogRelay log_relay_{context_, [](std::string_view lines) { log::append(lines); }};
  LogRelay access_relay_{context_, append_to_access_log};
  Reload reload_{generations_, listeners_};
  bool was_the_daemon_ = true;  // or is; false before it has taken over from another
  std::optional<Successor> successor_;
  bool has_reported_ = false;
  Predecessors predecessors_{{}};
  std::shared_ptr<Upgrade> upgrade_;
  ControlSocket::Reply upgrade_reply_;
  sys::Descriptor self_;  // our own pidfd, for the one that replaces us
  bool handing_over_ = false;
  std::vector<int> taken_;  // what it has taken of what was handed over
  ClosingDoors left_;       // and what it has not, until nobody waits there
  State state_ = State::starting;
  std::optional<ExporterKeeper> exporter_;
  const Clock::time_point started_ = Clock::now();
  const double started_at_ =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  sys::Deadline publish_next_ = sys::Deadline::immediately();
  std::uint64_t told_lost_ = 0;  // lines, in the log itself
  std::uint64_t told_access_lost_ = 0;
  sys::Deadline drain_deadline_ = sys::Deadline::never();
  sys::Deadline finish_deadline_ = sys::Deadline::never();
  sys::Deadline end_deadline_ = sys::Deadline::never();
  ClosingDoors doors_;                        // ours, in a drain
  const std::vector<std::string> asked_for_;  // --listen, in the order of the listeners
};

}  // namespace

void run_supervisor(const Options& options, const std::function<void()>& on_ready,
                    Inheritance&& inherited) {
  for (const std::string& path : {options.control, options.pidfile}) make_parent_directory(path);
  log::open(options.log);
  log::avoid_waiting();
  open_access_log(options.access_log, options.log.format);
  Supervisor(options, std::move(inherited)).run(on_ready);
}

}  // namespace forkecho::server
