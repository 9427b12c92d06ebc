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
#include "server/control_socket.h"
#include "server/exit_code.h"
#include "server/generations.h"
#include "server/life_cycle.h"
#include "server/listener.h"
#include "server/memory_reserve.h"
#include "server/pid_file.h"
#include "server/service_manager.h"
#include "server/shortage.h"
#include "server/status.h"
#include "server/stopped_processes.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using sys::Clock;

constexpr auto busy_tick = 100ms;  // the pool is watched as often as this while it works
constexpr auto quiet_tick = 1s;
constexpr auto drain_tick = 25ms;
constexpr auto replacing_tick = 2ms;  // a new generation settles in
/// The door is closed for good after nobody came in for so long: time for the last handshakes that
/// were under way to be finished by clients with a long round trip.
constexpr auto door_patience = 200ms;
/// What the orderly end of the last connections may take: twice serve_connection.h's bound, and
/// some.
constexpr auto finish_patience = 5s;

/// How many listeners there are on each address.
std::size_t queues_of(const Options& options) {
  return has_listeners_of_their_own(options) ? options.pool.start : 1;
}

std::vector<Listener> open_queues(const sys::SocketAddress& address, const Options& options) {
  try {
    if (has_listeners_of_their_own(options))
      return Listener::open_queues(address, options.backlog, queues_of(options));
    std::vector<Listener> one;
    one.push_back(Listener::open(address, options.backlog));
    return one;
  } catch (const std::system_error& error) {
    throw FatalError(ExitCode::unavailable, error.what());
  }
}

/// One queue of each address for the first worker, then for the second, and so on.
std::vector<Listener> by_worker(std::vector<std::vector<Listener>> by_address) {
  std::vector<Listener> listeners;
  for (std::size_t worker = 0; worker < by_address.front().size(); ++worker) {
    for (auto& queues : by_address) listeners.push_back(std::move(queues[worker]));
  }
  return listeners;
}

/// Those of a service manager replace --listen.
bool come_from_service_manager(const std::list<Inheritance::Socket>& inherited) {
  return !inherited.empty() &&
         inherited.front().listener.owner() == Listener::Owner::service_manager;
}

/// All queues of one address, or none. Fewer, or more, than there are workers would be clients that
/// nobody serves.
std::vector<Listener> take_queues(std::list<Inheritance::Socket>& inherited,
                                  const std::string& text, const sys::ResolvedAddresses& resolved,
                                  const Options& options) {
  std::vector<Listener> taken;
  while (taken.size() < queues_of(options)) {
    auto listener = take_matching(inherited, text, resolved.addresses);
    if (!listener) break;
    taken.push_back(std::move(*listener));
  }
  if (!taken.empty() && taken.size() != queues_of(options))
    throw FatalError(ExitCode::config,
                     "--accept reuseport: an upgrade cannot change the number of queues");
  return taken;
}

/// A listener is inherited where it can be; the others of `inherited` are left in it.
std::vector<Listener> make_listeners(const Options& options,
                                     std::list<Inheritance::Socket>& inherited) {
  if (come_from_service_manager(inherited)) {
    if (has_listeners_of_their_own(options))
      throw FatalError(ExitCode::config,
                       "--accept reuseport: a service manager's sockets have one queue each; use "
                       "--accept shared with them");
    std::vector<Listener> listeners;
    for (Inheritance::Socket& socket : inherited) listeners.push_back(std::move(socket.listener));
    inherited.clear();
    return listeners;
  }
  std::vector<std::vector<Listener>> by_address;
  for (const std::string& text : options.listen) {
    const sys::ResolvedAddresses resolved = sys::resolve(text);
    auto queues = take_queues(inherited, text, resolved, options);
    if (queues.empty() && !resolved.error.empty())
      throw FatalError(resolved.malformed ? ExitCode::usage : ExitCode::unavailable,
                       resolved.error);
    if (queues.empty()) queues = open_queues(resolved.addresses.front(), options);
    by_address.push_back(std::move(queues));
  }
  return by_worker(std::move(by_address));
}

std::vector<Listener> open_listeners(const Options& options,
                                     std::list<Inheritance::Socket>& inherited) {
  std::vector<Listener> listeners = make_listeners(options, inherited);
  // Only a worker of the pool with one listener may block in accept.
  const bool blocking = listeners.size() == queues_of(options) &&
                        options.accept != Accept::passing &&
                        (options.mode == Mode::pool || options.mode == Mode::iterative);
  if (!blocking)
    std::for_each(listeners.begin(), listeners.end(),
                  [](const Listener& l) { l.set_nonblocking(); });
  return listeners;
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
  Supervisor(const Options& options, Inheritance inherited)
      : pid_file_(options.pidfile),
        listeners_(open_listeners(options, inherited.listeners)),
        generations_(std::make_shared<const Options>(options), listeners_),
        signals_(context_, SIGTERM, SIGINT, SIGQUIT),
        other_signals_(context_, SIGCHLD, SIGHUP, SIGUSR1),
        tick_(context_) {
    control_.emplace(context_, options.control,
                     [this](const std::string& request, const ControlSocket::Reply& reply) {
                       reply(answer(request));
                     });
    other_signals_.add(SIGUSR2);
    other_signals_.add(SIGTTIN);
    other_signals_.add(SIGTTOU);
    // Who reads our log may go away.
    signal(SIGPIPE, SIG_IGN);
    mp::adopt_orphans();
    raise_descriptor_limit();
    sys::set_process_title("forkechod: supervisor, mode " + std::string(to_string(options.mode)));
  }

  void run(const std::function<void()>& on_ready) {
    listen_for_signals();
    listen_for_other_signals();
    generations_.start();
    happen(LifeEvent::ready);
    on_ready();
    manager_.ready(summary());
    schedule_tick();
    while (!over()) context_.run_one();
    for (const Listener& listener : listeners_) listener.remove_path();
    log::info("{}", books_line(generations_.totals()));
    log::info("ended");
  }

 private:
  bool over() const {
    if (state_ < State::draining || !generations_.empty()) return false;
    return door_closed_ || state_ == State::ending;
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
      if (number == SIGCHLD) {
        survive([this] { reap(); });
      } else if (number == SIGTTIN || number == SIGTTOU) {
        survive([&] { grow(number == SIGTTIN ? 1 : -1); });
      } else {
        log::info("signal {} has no effect in this version", number);
      }
      listen_for_other_signals();
    });
  }

  void grow(int by) {
    const char* name = by > 0 ? "TTIN" : "TTOU";
    if (state_ != State::running) return log::info("signal {} has no effect now", name);
    log::info("signal {}: {}", name, generations_.current().grow(by));
  }

  void reap() {
    take_in_the_dead();
    if (state_ == State::running) generations_.maintain();
  }

  /// The one loop over all that have ended; whoever started it takes it in.
  void take_in_the_dead() {
    while (const auto pid = mp::peek_ended()) {
      if (generations_.take_ended(*pid)) continue;
      mp::reap_one(*pid);  // as process 1 one inherits strangers, too
    }
  }

  Clock::duration time_to_next_tick() const {
    if (state_ >= State::draining) return drain_tick;
    if (generations_.is_replacing()) return replacing_tick;
    if (generations_.is_busy()) return busy_tick;
    return std::min<Clock::duration>(quiet_tick, manager_.longest_pause());
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
    manager_.tick(Clock::now());
    take_in_the_dead();
    switch (state_) {
      case State::starting:
        break;
      case State::running:
        generations_.maintain();
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
    const State before = state_;
    state_ = next_state(before, event);
    if (state_ == before) return;
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

  void begin_drain() {
    manager_.stopping("draining");
    log::info("draining: {} connections are open, the limit is {} s",
              generations_.totals().active(),
              std::chrono::duration<double>(generations_.options().timeouts.drain).count());
    // The door first: whoever is told to drain afterwards may take an empty queue for the end of
    // it.
    for (const Listener& listener : listeners_) {
      listener.begin_drain();
      listener.set_nonblocking();
    }
    drain_deadline_ = generations_.options().timeouts.drain == 0s
                          ? sys::Deadline::never()
                          : sys::Deadline::after(generations_.options().timeouts.drain);
    last_waiting_ = Clock::now();
    generations_.tell(SIGTERM, 0);
  }

  void keep_draining() {
    generations_.tell(SIGTERM, 0);  // again: the first may have come between a check and a wait
    watch_the_door();
    generations_.maintain_drain();
    if (drain_deadline_.passed()) happen(LifeEvent::drain_timeout);
  }

  void watch_the_door() {
    if (door_closed_) return;
    const bool waiting = std::any_of(listeners_.begin(), listeners_.end(),
                                     [](const Listener& l) { return l.has_waiting_client(); });
    if (waiting) last_waiting_ = Clock::now();
    if (Clock::now() - last_waiting_ < door_patience) return;
    for (const Listener& listener : listeners_) listener.stop_listening();
    door_closed_ = true;
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
    watch_the_door();
    generations_.maintain_drain();
    if (finish_deadline_.passed()) happen(LifeEvent::finish_timeout);
  }

  void end_at_once() {
    manager_.stopping("ending at once");
    log::warning("ending at once with {} connections open", generations_.totals().active());
    for (const Listener& listener : listeners_) listener.stop_listening();
    generations_.kill_all();
  }

  std::string answer(const std::string& request) {
    if (request == "status") return to_json(status()).dump() + "\n";
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

  std::optional<PoolStatus> pool_status() const {
    const ProcessTree& tree = generations_.current();
    if (tree.options().mode != Mode::pool) return std::nullopt;
    return PoolStatus{
        .accept = tree.options().accept, .sizes = tree.sizes(), .grown = tree.grown()};
  }

  Status status() const {
    const auto now = Clock::now();
    Status status{.pid = getpid(),
                  .mode = generations_.options().mode,
                  .state = state_,
                  .uptime_s = std::chrono::duration<double>(now - started_).count(),
                  .listen = {},
                  .books = generations_.totals(),
                  .children = generations_.children(),
                  .generations = generations_.views(),
                  .slots = {},
                  .slots_omitted = 0};
    for (const Listener& listener : addresses())
      status.listen.push_back(listener.address().to_string());
    status.pool = pool_status();
    if (const auto served = generations_.current().served_by_each(); !served.empty())
      status.workers = fairness_of(served);
    generations_.for_each_slot([&](const Slot& slot) {
      if (status.slots.size() < generations_.options().status_slots) {
        status.slots.push_back(read_slot(slot, now));
      } else {
        ++status.slots_omitted;
      }
    });
    return status;
  }

  const PidFile pid_file_;
  const std::vector<Listener> listeners_;
  MemoryReserve memory_reserve_;
  RepeatedWarning shortage_;
  StoppedProcesses stopped_;
  Generations generations_;
  asio::io_context context_{1};
  asio::signal_set signals_;
  asio::signal_set other_signals_;
  asio::steady_timer tick_;
  std::optional<ControlSocket> control_;
  ServiceManager manager_ = ServiceManager::of_environment(ServiceManager::Origin::started);
  State state_ = State::starting;
  const Clock::time_point started_ = Clock::now();
  sys::Deadline drain_deadline_ = sys::Deadline::never();
  sys::Deadline finish_deadline_ = sys::Deadline::never();
  Clock::time_point last_waiting_{};
  bool door_closed_ = false;
};

}  // namespace

void run_supervisor(const Options& options, const std::function<void()>& on_ready,
                    Inheritance inherited) {
  for (const std::string& path : {options.control, options.pidfile}) make_parent_directory(path);
  log::open(options.log);
  Supervisor(options, std::move(inherited)).run(on_ready);
}

}  // namespace forkecho::server
