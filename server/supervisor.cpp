#include "server/supervisor.h"

#include <sys/resource.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "common/log/log.h"
#include "common/mp/orphans.h"
#include "common/mp/reap.h"
#include "common/sys/process_title.h"
#include "server/access_log.h"
#include "server/admission_watch.h"
#include "server/control_socket.h"
#include "server/duties.h"
#include "server/exit_code.h"
#include "server/final_status.h"
#include "server/gather_status.h"
#include "server/generations.h"
#include "server/life_cycle.h"
#include "server/listener.h"
#include "server/log_keeper.h"
#include "server/metrics_service.h"
#include "server/open_listeners.h"
#include "server/orders.h"
#include "server/pid_file.h"
#include "server/process_context.h"
#include "server/reload.h"
#include "server/replacement.h"
#include "server/shutdown.h"
#include "server/status.h"
#include "server/stopped_processes.h"
#include "server/successor.h"
#include "server/survive_shortage.h"
#include "server/tick_pace.h"

namespace forkecho::server {
namespace {

using sys::Clock;

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
      : duties_(context_, options, inherited,
                [this](const std::string& request, const ControlSocket::Reply& reply) {
                  const auto order = order_of_request(request);
                  order ? obey(*order, reply) : reply("error: unknown request\n");
                }),
        final_status_(options.final_status),
        listeners_(open_listeners(options, inherited.listeners)),
        generations_(std::make_shared<const Options>(options), listeners_),
        signals_(context_, SIGTERM, SIGINT, SIGQUIT),
        other_signals_(context_, SIGCHLD, SIGHUP, SIGUSR1),
        tick_(context_),
        replacement_(context_, inherited.called_as, duties_, listeners_,
                     {.replaced = [this](const std::vector<int>& taken) { metrics_.leave(taken); },
                      .nobody_waits = [this] { happen(LifeEvent::stop); }}),
        asked_for_(options.listen) {
    other_signals_.add(SIGUSR2);
    other_signals_.add(SIGTTIN);
    other_signals_.add(SIGTTOU);
    // Who reads our log may go away.
    signal(SIGPIPE, SIG_IGN);
    mp::adopt_orphans();
    raise_descriptor_limit();
    if (!options.metrics.empty()) open_metrics(options.metrics, inherited.listeners);
    sys::set_process_title("forkechod: supervisor, mode " + std::string(to_string(options.mode)));
    if (inherited.is_handover()) begin_succession(std::move(inherited));
  }

  void run(const std::function<void()>& on_ready) {
    listen_for(signals_);
    listen_for(other_signals_);
    generations_.start();
    happen(LifeEvent::ready);
    maintain_metrics();
    on_ready();
    if (duties_.are_ours()) duties_.manager().ready(summary());
    schedule_tick();
    while (!over()) context_.run_one();
    if (duties_.are_ours())
      for (const Listener& listener : listeners_) listener.remove_path();
    logs_.pass_on_all();
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
    if (duties_.are_ours() && !predecessors_.alive().empty() &&
        !shutdown_.has_waited_for_the_dying(Clock::now()))
      return false;
    return shutdown_.doors_are_shut() || state_ == State::ending;
  }

  void listen_for(asio::signal_set& signals) {
    signals.async_wait([this, &signals](const asio::error_code& error, int number) {
      if (error) return;
      survive_([this, number] {
        if (const auto order = order_of_signal(number)) obey(*order, {});
      });
      listen_for(signals);
    });
  }

  void open_metrics(const std::string& address, std::list<Inheritance::Socket>& inherited) {
    metrics_.open(address, inherited,
                  [this, supervisor = getpid()](std::span<const Listener> listeners,
                                                const std::string& title) {
                    const Confinement& confinement = generations_.current().confinement();
                    generations_.make_memory_read_only();
                    settle_in(CommonContext{.listeners = listeners,
                                            .supervisor = supervisor,
                                            .confinement = &confinement},
                              title);
                    confinement.restrict_calls(Role::exporter);
                  });
  }

  /// Of two daemons during an upgrade, one serves metrics.
  void maintain_metrics() {
    if (duties_.are_ours()) metrics_.maintain([this] { return figures(); });
  }

  /// `reply` is empty where the order came as a signal.
  void obey(Order order, const ControlSocket::Reply& reply) {
    const auto answer = [&reply](const std::string& text) {
      if (reply) reply(text);
    };
    switch (order) {
      case Order::reload:
        return begin_reload(reply);
      case Order::upgrade:
        return begin_upgrade(reply);
      case Order::status:
        return answer(to_json(status()).dump() + "\n");
      case Order::reopen_logs:
        // Predecessors write to the same files while they last.
        return answer(
            logs_.reopen(generations_.options(), [this] { predecessors_.tell(SIGUSR1); }));
      case Order::stop_gently:
        if (state_ < State::draining) happen(LifeEvent::stop);
        return answer("ok\n");
      case Order::stop:
        return happen(LifeEvent::stop);
      case Order::quit:
        happen(LifeEvent::quit);
        return answer("ok\n");
      case Order::reap:
        return reap();
      case Order::grow:
        return grow(1);
      case Order::shrink:
        return grow(-1);
    }
  }

  void grow(int by) {
    const char* name = by > 0 ? "TTIN" : "TTOU";
    if (state_ != State::running) return log::info("signal {} has no effect now", name);
    log::info("signal {}: {}", name, generations_.current().grow(by));
  }

  void begin_reload(Reload::Answer answer) {
    if (replacement_.is_under_way()) {
      const std::string line = "no reload: an upgrade is under way; the new daemon reads the file";
      log::warning("{}", line);
      if (answer) answer("error: " + line + "\n");
      return;
    }
    reload_.ask(std::move(answer));
    schedule_tick();
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
      if (metrics_.take_ended(pid)) continue;
      mp::reap_one(pid);  // as process 1 one inherits strangers, too
    }
  }

  Clock::duration time_to_next() const {
    return time_to_next_tick(
        {.state = state_,
         .is_replacing = reload_.is_busy() || is_about_to_report(),
         .closes_doors = replacement_.closes_doors(),
         .is_busy = generations_.is_busy(),
         .looks_early = AdmissionWatch::needs_short_ticks(generations_.options()),
         .longest = duties_.manager().longest_pause()});
  }

  void schedule_tick() {
    tick_.expires_after(time_to_next());
    tick_.async_wait([this](const asio::error_code& error) {
      if (error) return;
      survive_([this] { on_tick(); });
      schedule_tick();
    });
  }

  void on_tick() {
    stopped_.look(Clock::now());
    duties_.manager().tick(Clock::now());
    take_in_the_dead();
    maintain_metrics();
    logs_.tell_of_lost_lines(generations_.totals());
    admissions_.tick(generations_, generations_.totals(), Clock::now());
    predecessors_.alive();
    if (state_ == State::running) return keep_running();
    if (const auto event = shutdown_.keep_going(state_, doors(), Clock::now())) happen(*event);
  }

  void keep_running() {
    generations_.maintain();
    reload_.keep_going();
    if (is_about_to_report()) report_when_ready();
    replacement_.watch(Clock::now());
  }

  /// The one place where the state changes, and what a change brings about.
  void happen(LifeEvent event) {
    if (event == LifeEvent::stop || event == LifeEvent::quit)
      replacement_.give_up("is not wanted any more: the daemon is to end");
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
        if (duties_.are_ours()) duties_.manager().stopping("draining");
        shutdown_.begin_drain(doors(), Clock::now());
        break;
      case State::finishing:
        shutdown_.begin_finish(doors(), Clock::now());
        break;
      case State::ending:
        end_at_once();
        break;
    }
    if (state_ >= State::draining) schedule_tick();
    metrics_.publish_now([this] { return figures(); });
  }

  void announce() const {
    for (const Listener& listener : one_of_each_address(generations_.options(), listeners_)) {
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

  DoorsBehind doors() const { return doors_behind(duties_.are_ours(), listeners_.front().owner()); }

  void end_at_once() {
    if (duties_.are_ours()) {
      duties_.manager().stopping("ending at once");
      predecessors_.tell(SIGQUIT);
    }
    shutdown_.end_at_once(doors(), Clock::now());
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
    if (const auto socket = metrics_.socket()) own.push_back(socket->fd);
    successor_->report_ready(own, [this] { take_up_duties(); });
  }

  void take_up_duties() {
    was_the_daemon_ = true;
    duties_.take_up(summary());
    successor_->report_done();
    log::info("took over from the daemon before");
  }

  // --- being replaced ---

  void begin_upgrade(const ControlSocket::Reply& reply) {
    const std::string objection =
        objection_to_upgrade({.pid = getpid(),
                              .program_is_known = replacement_.program_is_known(),
                              .is_under_way = replacement_.is_under_way(),
                              .state = state_,
                              .duties_are_ours = duties_.are_ours(),
                              .reloads = generations_.is_replacing()});
    if (objection.empty())
      return replacement_.begin(generations_.options().upgrade_timeout, make_handover(), reply);
    log::warning("no upgrade: {}", objection);
    if (reply) reply("error: no upgrade: " + objection + "\n");
  }

  Handover make_handover() {
    predecessors_.alive();
    Handover handover;
    handover.predecessors = predecessors_.descriptors();
    handover.listeners = sockets_to_hand_over(listeners_, asked_for_);
    if (auto socket = metrics_.socket()) handover.listeners.push_back(std::move(*socket));
    return handover;
  }

  /// The status without its slots.
  Status figures() {
    Status status = gather_status(generations_, listeners_);
    status.state = state_;
    status.uptime_s = std::chrono::duration<double>(Clock::now() - started_).count();
    status.metrics = metrics_.address();
    status.exporter = metrics_.exporter();
    status.stress = admissions_.stressed();
    status.predecessors = predecessors_.alive();
    return status;
  }

  Status status() {
    Status status = figures();
    add_slots(status, generations_, Clock::now());
    return status;
  }

  asio::io_context context_{1};
  Duties duties_;
  const FinalStatus final_status_;
  const std::vector<Listener> listeners_;
  SurviveShortage survive_;
  StoppedProcesses stopped_;
  Generations generations_;
  AdmissionWatch admissions_;
  asio::signal_set signals_;
  asio::signal_set other_signals_;
  asio::steady_timer tick_;
  LogKeeper logs_{context_};
  Reload reload_{generations_, listeners_};
  bool was_the_daemon_ = true;  // or is; false before it has taken over from another
  std::optional<Successor> successor_;
  bool has_reported_ = false;
  Predecessors predecessors_{{}};
  Replacement replacement_;
  State state_ = State::starting;
  Shutdown shutdown_{generations_, listeners_};
  MetricsService metrics_;
  const Clock::time_point started_ = Clock::now();
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
