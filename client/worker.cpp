#include "client/worker.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "client/conversation.h"
#include "client/event_loop.h"
#include "client/pacer.h"
#include "client/processor_time.h"
#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

constexpr std::size_t buffer_size = std::size_t{64} << 10;

void allow_as_many_descriptors_as_possible() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void sleep_until(sys::Clock::time_point moment) {
  const timespec when = sys::Deadline::at(moment).to_timespec();
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr) == EINTR) continue;
}

std::uint64_t processor_time_ns() {
  timespec used{};
  sys::check_syscall(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), "clock_gettime");
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(used.tv_nsec);
}

/// The kernel may otherwise let a timer be 50 µs late, to save wake-ups.
void ask_for_exact_timers() {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

void note_begin(WorkerBooks& books) {
  const ProcessorUse machine = processor_use();
  books.machine_busy_from.set(machine.busy);
  books.machine_all_from.set(machine.all);
  books.run_wait_from_ns.set(time_waiting_for_processor_ns());
  books.cpu_from_ns.set(processor_time_ns());
  books.measured_from_ns.set(to_ns(sys::Clock::now()));
}

void note_end(WorkerBooks& books) {
  if (books.measured_from_ns.get() == 0 || books.measured_until_ns.get() != 0) return;
  books.cpu_until_ns.set(processor_time_ns());
  books.measured_until_ns.set(to_ns(sys::Clock::now()));
  books.run_wait_until_ns.set(time_waiting_for_processor_ns());
  const ProcessorUse machine = processor_use();
  books.machine_busy_until.set(machine.busy);
  books.machine_all_until.set(machine.all);
}

Detached note_measured_part(EventLoop& loop, Waiting& waiting, const RunClock& clock,
                            WorkerBooks& books) {
  co_await loop.until(waiting, 0, clock.measure_start);
  note_begin(books);
  if (clock.measure_end == sys::Clock::time_point::max()) co_return;
  co_await loop.until(waiting, 0, clock.measure_end);
  note_end(books);
}

std::vector<Route> make_routes(const WorkerTask& task) {
  std::vector<Route> routes;
  for (const sys::SocketAddress& target : task.targets) {
    SourceAddresses sources = task.sources.empty()
                                  ? SourceAddresses(task.plan, target, task.index)
                                  : SourceAddresses({task.sources.begin(), task.sources.end()},
                                                    task.plan.workers, task.index);
    routes.push_back({.target = target, .sources = std::move(sources)});
  }
  return routes;
}

/// With a ramp, the connections of a closed loop begin one after the other; in an open loop the
/// rate alone rises, and waits for no connection.
Moment begin_of(const WorkerTask& task, std::size_t connection) {
  if (is_open_loop(task.plan)) return task.clock.start;
  return task.clock.start + task.plan.ramp / task.plan.connections * connection;
}

std::vector<FirstConnection> own_part(std::vector<FirstConnection> firsts,
                                      const ConnectionShare& share) {
  std::vector<FirstConnection> own;
  for (std::size_t i = share.first; i < std::min(firsts.size(), share.first + share.count); ++i)
    own.push_back(std::move(firsts[i]));
  return own;
}

}  // namespace

ConnectionShare share_of(std::size_t connections, unsigned workers, unsigned index) {
  const std::size_t each = connections / workers;
  const std::size_t more = connections % workers;
  return {.first = index * each + std::min<std::size_t>(index, more),
          .count = each + (index < more ? 1 : 0)};
}

void run_worker(const WorkerTask& task, std::vector<FirstConnection> firsts) {
  allow_as_many_descriptors_as_possible();
  ask_for_exact_timers();
  pin_this_process(task.plan.pins.client);
  EventLoop loop;
  Pacer pacer(task.plan, task.clock, task.control, task.books, loop,
              {.workers = task.plan.workers, .worker = task.index});
  WorkerContext context{.plan = task.plan,
                        .clock = task.clock,
                        .books = task.books,
                        .arrivals = task.arrivals,
                        .exchanges = task.exchanges,
                        .loop = loop,
                        .pacer = pacer,
                        .buffer = std::vector<char>(buffer_size)};
  std::vector<Route> routes = make_routes(task);
  const ConnectionShare share = share_of(task.plan.connections, task.plan.workers, task.index);
  std::deque<Conversation> conversations;
  for (std::size_t i = share.first; i < share.first + share.count; ++i) {
    conversations.emplace_back(context, routes[i % routes.size()], i - share.first,
                               begin_of(task, i));
  }
  std::vector<FirstConnection> own = own_part(std::move(firsts), share);
  Waiting measured_part;
  sleep_until(task.clock.start);
  note_measured_part(loop, measured_part, task.clock, task.books);
  if (is_open_loop(task.plan)) ++context.talking;
  pacer.start([&context] { context.one_ended(); });
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    conversations[i].start(i < own.size() ? std::move(own[i]) : FirstConnection{});
  }
  if (context.talking > 0) loop.run();
  note_end(task.books);
  task.books.ended.set(1);
}

}  // namespace forkecho::client
