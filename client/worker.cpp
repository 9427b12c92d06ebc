#include "client/worker.h"

#include <sys/resource.h>
#include <time.h>

#include <deque>
#include <utility>

#include "client/conversation.h"
#include "client/event_loop.h"
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

void note_begin(WorkerBooks& books) {
  books.cpu_from_ns.set(processor_time_ns());
  books.measured_from_ns.set(to_ns(sys::Clock::now()));
}

void note_end(WorkerBooks& books) {
  if (books.measured_from_ns.get() == 0 || books.measured_until_ns.get() != 0) return;
  books.cpu_until_ns.set(processor_time_ns());
  books.measured_until_ns.set(to_ns(sys::Clock::now()));
}

Detached note_measured_part(EventLoop& loop, Waiting& waiting, const RunClock& clock,
                            WorkerBooks& books) {
  co_await loop.until(waiting, 0, clock.measure_start);
  note_begin(books);
  if (clock.measure_end == sys::Clock::time_point::max()) co_return;
  co_await loop.until(waiting, 0, clock.measure_end);
  note_end(books);
}

}  // namespace

std::size_t share_of(std::size_t connections, unsigned workers, unsigned index) {
  return connections / workers + (index < connections % workers ? 1 : 0);
}

void run_worker(const WorkerTask& task, FirstConnection first) {
  allow_as_many_descriptors_as_possible();
  WorkerContext context{.plan = task.plan,
                        .clock = task.clock,
                        .control = task.control,
                        .books = task.books,
                        .target = task.target,
                        .exchanges = task.exchanges,
                        .sources = SourceAddresses(task.plan.workload, task.target, task.index),
                        .loop = {},
                        .buffer = std::vector<char>(buffer_size)};
  std::deque<Conversation> conversations;
  for (std::size_t i = 0; i < task.connections; ++i) conversations.emplace_back(context, i);
  Waiting measured_part;
  sleep_until(task.clock.start);
  note_measured_part(context.loop, measured_part, task.clock, task.books);
  for (Conversation& conversation : conversations) {
    conversation.start(std::exchange(first, {}));
  }
  if (context.talking > 0) context.loop.run();
  note_end(task.books);
}

}  // namespace forkecho::client
