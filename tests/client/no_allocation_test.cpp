// A worker allocates nothing for a request: what it allocates in a long run is what it allocates in
// a short one. Counted are the calls of operator new of this whole program.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#include "client/boxed.h"
#include "client/first_connection.h"
#include "client/payload.h"
#include "client/worker.h"
#include "tests/support/echo_double.h"

namespace {

std::atomic<std::uint64_t> allocations;

void* allocate(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using testing::EchoDouble;

constexpr std::uint64_t few = 2'000;
constexpr std::uint64_t many = 12'000;

struct Load {
  const char* name;
  double rate;  // 0 = closed loop
  unsigned depth;
  Arrivals arrivals;
};

LoadPlan plan_for(const Load& load, const EchoDouble& server, std::uint64_t requests) {
  LoadPlan plan;
  plan.target = server.target();
  plan.connections = 4;
  plan.workers = 1;
  plan.requests = requests;
  plan.warmup = 0ns;
  plan.rate = load.rate;
  plan.depth = load.depth;
  plan.arrivals = load.arrivals;
  return plan;
}

/// By a worker in this process, over the whole of its run.
std::uint64_t allocations_of(const LoadPlan& plan) {
  const auto patience = sys::Deadline::after(5s);
  std::vector<FirstConnection> firsts;
  firsts.push_back(connect_first(plan.target, 5s, patience));
  const std::vector<sys::SocketAddress> targets{firsts.front().address};
  const std::vector<Exchange> exchanges = make_exchanges(plan);
  Boxed<WorkerBooks> books;
  Boxed<ArrivalSample> arrivals;
  arrivals->stride = is_open_loop(plan) ? 1 : 0;
  RunControl control{};
  const auto now = sys::Clock::now();
  const RunClock clock{
      .start = now, .measure_start = now, .measure_end = sys::Clock::time_point::max()};
  const WorkerTask task{.plan = plan,
                        .clock = clock,
                        .control = control,
                        .books = *books,
                        .arrivals = *arrivals,
                        .targets = targets,
                        .sources = {},
                        .exchanges = exchanges,
                        .index = 0};
  const std::uint64_t before = allocations.load();
  run_worker(task, std::move(firsts));
  const std::uint64_t made = allocations.load() - before;
  EXPECT_EQ(books->requests_completed.get(), plan.requests);
  EXPECT_EQ(books->replies_mismatched.get(), 0U);
  return made;
}

class NoAllocation : public ::testing::TestWithParam<Load> {};
INSTANTIATE_TEST_SUITE_P(Worker, NoAllocation,
                         ::testing::Values(Load{"closed", 0, 1, Arrivals::constant},
                                           Load{"closed_and_deep", 0, 4, Arrivals::constant},
                                           Load{"constant", 20'000, 1, Arrivals::constant},
                                           Load{"constant_and_deep", 20'000, 4, Arrivals::constant},
                                           Load{"poisson", 20'000, 1, Arrivals::poisson}),
                         [](const auto& load) { return std::string(load.param.name); });

TEST_P(NoAllocation, IsMadeForARequest) {
  const EchoDouble server;
  const std::uint64_t short_run = allocations_of(plan_for(GetParam(), server, few));
  const std::uint64_t long_run = allocations_of(plan_for(GetParam(), server, many));
  EXPECT_GT(short_run, 0U) << "the counter does not count";
  // What grows with what is under way at once (the timers) may differ by a step or two.
  EXPECT_LE(long_run, short_run + 4);
}

}  // namespace
}  // namespace forkecho::client
