#include "client/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <thread>

#include "client/exit_code.h"
#include "client/machine.h"
#include "client/null_server.h"
#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/echo_double.h"
#include "tests/support/processes.h"
#include "tests/support/scripted_server.h"
#include "tests/support/soak.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::EchoDouble;
using ::testing::HasSubstr;

LoadPlan short_plan(const std::string& target) {
  LoadPlan plan;
  plan.target = target;
  plan.connections = 5;
  plan.workers = 2;
  plan.duration = 300ms;
  plan.warmup = 100ms;
  return plan;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

TEST(Load, WarmUpIsInTheTotalsAlone) {
  const EchoDouble server;
  const RunResult result = run_load(short_plan(server.target()), nullptr);
  EXPECT_GT(result.requests.completed, 0U);
  EXPECT_GT(result.totals.requests, result.requests.sent);
  EXPECT_EQ(result.connections.opened, 0U);  // all were opened in the warm-up
  EXPECT_EQ(result.totals.connections, 5U);
  EXPECT_EQ(result.totals.connections, server.books().accepted);
  EXPECT_EQ(result.totals.connections, server.books().ended);
  EXPECT_EQ(result.totals.bytes_out, server.books().bytes_in);
  EXPECT_EQ(result.totals.bytes_in, server.books().bytes_out);
  EXPECT_EQ(result.totals.bytes_out, result.totals.requests * 64);
}

TEST(Load, RateIsOfTheMeasuredPart) {
  const EchoDouble server;
  const RunResult result = run_load(short_plan(server.target()), nullptr);
  EXPECT_GE(result.duration_s, 0.3);
  EXPECT_NEAR(result.achieved_rps,
              static_cast<double>(result.requests.completed) / result.duration_s, 1e-6);
  EXPECT_FALSE(result.requested_rps);
  EXPECT_EQ(result.from_intended->count(), result.requests.completed);
  EXPECT_EQ(result.from_intended->max(), result.from_send->max());
}

TEST(Load, NumberOfRequestsIsExact) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  for (const std::uint64_t requests : {1U, 3U, 1000U}) {
    plan.requests = requests;
    EXPECT_EQ(run_load(plan, nullptr).requests.completed, requests);
  }
}

TEST(Load, FirstConnectionIsCountedAlsoWhenOthersTakeAllRequests) {
  for (int round = 0; round < tests::soak(20, 200); ++round) {
    const EchoDouble server;
    LoadPlan plan = short_plan(server.target());
    plan.requests = 1;
    plan.warmup = 0ns;
    plan.workers = plan.connections = 4;
    const RunResult result = run_load(plan, nullptr);
    ASSERT_EQ(result.requests.completed, 1U);
    ASSERT_EQ(result.totals.connections, server.books().accepted);
  }
}

TEST(Load, WorkersAreNeverMoreThanConnections) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.workers = 8;
  plan.connections = 3;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.plan.workers, 3U);
  EXPECT_EQ(result.generator.cpu_percent.size(), 3U);
  EXPECT_EQ(server.books().accepted, 3U);
}

TEST(Load, NothingThereIsSaidAtOnce) {
  const testing::UnansweredTarget nobody;
  const LoadPlan plan = short_plan(nobody.text());
  try {
    run_load(plan, nullptr);
    FAIL() << "nothing can have answered";
  } catch (const NothingAnswered& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("nothing answers at " + plan.target + ": Connection refused"));
  }
}

TEST(Load, NothingThereCanBeAResult) {
  const testing::UnansweredTarget nobody;
  LoadPlan plan = short_plan(nobody.text());
  plan.goes_on_unanswered = true;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_THAT(result.unanswered, HasSubstr("Connection refused"));
  EXPECT_GT(result.connections.failed.refused, 0U);
  EXPECT_GE(result.duration_s, 0.3);
  EXPECT_EQ(exit_code(result), exit_failed);
  plan.target = "no-such-host.invalid:1";
  EXPECT_THROW(run_load(plan, nullptr), NothingAnswered) << "there is nothing to drive";
}

TEST(Load, BeginsAtTheMomentOfThePlan) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.start_at = wall_time_now() + 1200ms;
  const RunResult result = run_load(plan, nullptr);
  const auto began = parse_start_moment(result.started_at);
  ASSERT_TRUE(began);
  EXPECT_LE(std::chrono::abs(*began - (*plan.start_at + plan.warmup)), 5ms);
  EXPECT_THAT(result.warnings, ::testing::IsEmpty());
}

TEST(Load, MomentThatHasPassedIsTheUsersError) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.start_at = wall_time_now() - 1ms;
  EXPECT_THROW(run_load(plan, nullptr), ImpossiblePlan);
  EXPECT_EQ(server.books().accepted, 0U);
}

TEST(Load, ASignalEndsTheWaitForTheMoment) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.start_at = wall_time_now() + 1h;
  mp::Process waiting([&plan] {
    try {
      run_load(plan, nullptr);
    } catch (const InterruptedBeforeStart&) {
      mp::leave(7);
    }
  });
  waiting.start();
  // Told again and again, since it may come before the wait: then it ends the process by itself.
  while (waiting.is_alive()) {
    waiting.terminate();
    std::this_thread::sleep_for(20ms);
  }
  waiting.join();
  EXPECT_THAT(waiting.exitcode(), ::testing::AnyOf(7, -SIGTERM));
}

TEST(Load, ServerThatComesLateIsToldOf) {
  const testing::UnansweredTarget nobody;
  LoadPlan plan = short_plan(nobody.text());
  plan.goes_on_unanswered = true;
  plan.wait_for = 1500ms;
  plan.start_at = wall_time_now() + 1s;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_THAT(result.warnings, ::testing::Contains(HasSubstr("after --start-at")));
}

TEST(Load, MalformedTargetIsTheUsersError) {
  EXPECT_THROW(run_load(short_plan("localhost"), nullptr), MalformedTarget);
}

TEST(Load, ServerThatDiesIsRefusals) {
  EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.duration = 1500ms;
  struct KillAtFirstSecond : Progress {
    EchoDouble& server;
    explicit KillAtFirstSecond(EchoDouble& victim) : server(victim) {}
    void second_passed(const TimelinePoint&) override { server.kill(); }
  } progress(server);
  const RunResult result = run_load(plan, &progress);
  EXPECT_GT(result.connections.failed.refused, 0U);
  EXPECT_LT(result.connections.failed.refused, 500U);  // it does not spin
  EXPECT_EQ(result.requests.sent, result.requests.completed + result.requests.failed.all());
  EXPECT_EQ(result.verification.wrong(), 0U);
  EXPECT_TRUE(result.generator.valid);
  EXPECT_EQ(exit_code(result), exit_failed);
}

TEST(Load, TimelineHasEveryRequestOnce) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.duration = 1200ms;
  struct Count : Progress {
    std::uint64_t seconds = 0;
    void second_passed(const TimelinePoint&) override { ++seconds; }
  } progress;
  const RunResult result = run_load(plan, &progress);
  EXPECT_EQ(progress.seconds, 1U);
  ASSERT_EQ(result.timeline.size(), 2U);
  EXPECT_EQ(result.timeline[0].completed + result.timeline[1].completed, result.requests.completed);
  EXPECT_GE(result.timeline[0].t_s, 1.0);
  EXPECT_GT(result.timeline[0].p50_ns, 0U);
}

TEST(Load, WorkersAreAsManyAsTheProcessorsTheyArePinnedTo) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.workers = 0;
  plan.duration = 1200ms;
  plan.pins.client = {0};
  struct WhereTheyRun : Progress {
    std::vector<bool> on_the_first_alone;
    void second_passed(const TimelinePoint&) override {
      for (const auto& child : mp::active_children()) {
        if (!child.name.starts_with("load worker")) continue;
        const std::string status =
            tests::content_of("/proc/" + std::to_string(child.pid) + "/status");
        on_the_first_alone.push_back(status.find("Cpus_allowed_list:\t0\n") != status.npos);
      }
    }
  } progress;
  const RunResult result = run_load(plan, &progress);
  EXPECT_EQ(result.plan.workers, 1U);
  EXPECT_EQ(progress.on_the_first_alone, std::vector{true});
  EXPECT_GT(result.requests.completed, 0U);
}

TEST(Load, InterruptEndsItEarlyWithAResult) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.duration = 1h;
  struct Interrupt : Progress {
    void second_passed(const TimelinePoint&) override { kill(getpid(), SIGINT); }
  } progress;
  const RunResult result = run_load(plan, &progress);
  EXPECT_TRUE(result.interrupted);
  EXPECT_LT(result.duration_s, 30);
  EXPECT_GT(result.requests.completed, 0U);
  EXPECT_EQ(result.requests.sent, result.requests.completed + result.requests.failed.all());
  EXPECT_EQ(result.totals.connections, server.books().ended);
}

TEST(Load, KilledWorkerMakesItInvalidAndTheSumsStillHold) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.duration = 1200ms;
  struct KillAWorker : Progress {
    void second_passed(const TimelinePoint&) override {
      kill(mp::active_children().back().pid, SIGKILL);
    }
  } progress;
  const RunResult result = run_load(plan, &progress);
  EXPECT_FALSE(result.generator.valid);
  ASSERT_EQ(result.generator.reasons.size(), 1U);
  EXPECT_EQ(result.generator.reasons[0], "generator: load worker 2 was killed by signal 9");
  EXPECT_EQ(result.requests.sent, result.requests.completed + result.requests.failed.all());
  EXPECT_EQ(exit_code(result), exit_invalid);
}

TEST(Load, TooFewDescriptorsAreTheGeneratorsFault) {
  const EchoDouble server;
  LoadPlan plan = short_plan(server.target());
  plan.connections = 200;
  plan.workers = 1;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  mp::Process limited([plan] {
    const rlimit few{.rlim_cur = 100, .rlim_max = 100};
    setrlimit(RLIMIT_NOFILE, &few);
    const RunResult result = run_load(plan, nullptr);
    const bool told =
        !result.generator.reasons.empty() &&
        result.generator.reasons[0].find("generator: no descriptor") != std::string::npos;
    mp::leave(told ? exit_code(result) : 99);
  });
  limited.start();
  limited.join();
  EXPECT_EQ(limited.exitcode(), exit_invalid);
}

TEST(Load, SilentServerGivesARunByNumberAnEnd) {
  const EchoDouble server({.answer = Answer::never});
  LoadPlan plan = short_plan(server.target());
  plan.requests = 1'000'000;
  plan.timeout = 200ms;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.completed, 0U);
  ASSERT_EQ(result.generator.reasons.size(), 1U);
  EXPECT_THAT(result.generator.reasons[0],
              HasSubstr("server: no reply for 5 s: given up after 0 of 1000000 requests"));
  EXPECT_TRUE(result.generator.valid);
  EXPECT_EQ(exit_code(result), exit_failed);
}

// --- open loop

LoadPlan open_plan(const std::string& target, double rate) {
  LoadPlan plan = short_plan(target);
  plan.rate = rate;
  return plan;
}

void expect_balance(const RunResult& result) {
  EXPECT_EQ(result.requests.scheduled, result.requests.sent + result.requests.shed);
  EXPECT_EQ(result.requests.sent, result.requests.completed + result.requests.failed.all());
  EXPECT_EQ(result.from_intended->count(), result.requests.completed);
  EXPECT_EQ(result.from_send->count(), result.requests.completed);
}

void expect_totals_of(const RunResult& result, const EchoDouble& server) {
  EXPECT_EQ(result.totals.connections, server.books().accepted);
  EXPECT_EQ(result.totals.bytes_out, server.books().bytes_in);
  EXPECT_EQ(result.totals.bytes_in, server.books().bytes_out);
}

TEST(OpenLoop, ScheduledIsExactAtEveryRate) {
  const EchoDouble server;
  for (const auto& [rate, requests] : {std::pair(1000.0, 300U),
                                       {3.0, 1U},
                                       {4.0, 2U},
                                       {0.1, 1U},
                                       {777.7, 234U},
                                       {20'000.0, 6000U}}) {
    const RunResult result = run_load(open_plan(server.target(), rate), nullptr);
    EXPECT_EQ(result.requests.scheduled, requests) << rate;
    EXPECT_EQ(result.requested_rps, rate);
    EXPECT_TRUE(result.generator.lag);
    expect_balance(result);
  }
}

TEST(OpenLoop, NumberOfRequestsIsExact) {
  for (const Arrivals arrivals : {Arrivals::constant, Arrivals::poisson}) {
    const EchoDouble server;
    LoadPlan plan = open_plan(server.target(), 2000);
    plan.arrivals = arrivals;
    plan.requests = 321;
    const RunResult result = run_load(plan, nullptr);
    EXPECT_EQ(result.requests.scheduled, 321U);
    EXPECT_EQ(result.requests.completed, 321U);
    expect_balance(result);
  }
}

TEST(OpenLoop, TotalsAreTheServersOverAllWorkloadsAndCloses) {
  for (const Close close : {Close::fin, Close::rst}) {
    for (const std::uint64_t each : {0U, 1U, 3U}) {
      for (const unsigned depth : {1U, 4U}) {
        const EchoDouble server;
        LoadPlan plan = open_plan(server.target(), 1000);
        plan.workload = each == 1 ? Workload::crr : Workload::rr;
        plan.requests_per_connection = each;
        plan.close = close;
        plan.depth = depth;
        const RunResult result = run_load(plan, nullptr);
        EXPECT_EQ(result.requests.scheduled, 300U);
        EXPECT_EQ(result.verification.wrong(), 0U);
        expect_balance(result);
        expect_totals_of(result, server);
      }
    }
  }
}

TEST(OpenLoop, LatencyFromTheSendIsNeverLongerThanFromThePlan) {
  const EchoDouble server;
  const RunResult result = run_load(open_plan(server.target(), 1000), nullptr);
  EXPECT_LE(result.from_send->mean(), result.from_intended->mean());
  EXPECT_LE(result.from_send->max(), result.from_intended->max());
}

TEST(OpenLoop, ConstantArrivalsAreNotPoisson) {
  const EchoDouble server;
  LoadPlan plan = open_plan(server.target(), 1000);
  const RunResult result = run_load(plan, nullptr);
  ASSERT_TRUE(result.generator.poisson);
  EXPECT_LT(result.generator.poisson->p, 0.001);
}

AndersonDarling arrivals_of(Arrivals arrivals) {
  const EchoDouble server;
  LoadPlan plan = open_plan(server.target(), 200);
  plan.arrivals = arrivals;
  plan.duration = std::chrono::seconds(tests::soak(1, 10));
  const RunResult result = run_load(plan, nullptr);
  expect_balance(result);
  EXPECT_TRUE(result.generator.poisson);
  return result.generator.poisson.value_or(AndersonDarling{});
}

// Where others have the processors, what is sent is bunched; a constant train is still far worse.
// In a soak Poisson's arrivals pass.
TEST(OpenLoop, PoissonArrivalsPassAndAConstantTrainDoesNot) {
  const AndersonDarling constant = arrivals_of(Arrivals::constant);
  EXPECT_LT(constant.p, 0.001);
  const double p_wanted = tests::soak(0, 1) * 0.01;
  bool passed = false;
  for (int attempt = 0; attempt < 5 && !passed; ++attempt) {
    const AndersonDarling poisson = arrivals_of(Arrivals::poisson);
    passed = poisson.p >= p_wanted && poisson.a_squared < constant.a_squared / 2;
  }
  EXPECT_TRUE(passed);
}

TEST(OpenLoop, TenTimesWhatThisMachineCanDoIsInvalidAndNamesTheLimit) {
  const unsigned processors = this_machine().processors;
  const NullServer server(processors);
  LoadPlan plan = open_plan({}, 0);
  set_targets(plan, server.targets());
  plan.expect = Expect::none;
  plan.workers = processors;
  plan.connections = 32 * processors;
  plan.depth = 4;
  double most = 0;
  for (int round = 0; round < 3; ++round)
    most = std::max(most, run_load(plan, nullptr).achieved_rps);
  plan.rate = 10 * most;
  plan.duration = 1s;
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(exit_code(result), exit_invalid);
  ASSERT_FALSE(result.generator.reasons.empty());
  EXPECT_THAT(result.generator.reasons.front(), ::testing::StartsWith("generator: "));
  EXPECT_GT(result.requests.shed, 0U);
  expect_balance(result);
}

TEST(OpenLoop, SilentServerTakesWhatThereArePlacesForAndTheRestIsShed) {
  const EchoDouble server({.answer = Answer::never});
  LoadPlan plan = open_plan(server.target(), 1000);
  plan.warmup = 0ns;
  plan.duration = 1s;  // a worker may be kept from running for a part of it
  plan.timeout = 2s;   // later than the end, so that each connection has one
  const RunResult result = run_load(plan, nullptr);
  EXPECT_EQ(result.requests.scheduled, 1000U);
  EXPECT_EQ(result.requests.sent, 5U);
  EXPECT_EQ(result.requests.failed.timeout, 5U);
  EXPECT_EQ(result.requests.shed, 995U);
  EXPECT_EQ(result.requests.shed_by_generator, 0U);
  EXPECT_TRUE(result.generator.valid) << result.generator.reasons.front();
  ASSERT_FALSE(result.generator.reasons.empty());
  EXPECT_THAT(result.generator.reasons.front(), HasSubstr("server: 0 of 1000 requests per second"));
  EXPECT_EQ(exit_code(result), exit_failed);
  expect_balance(result);
}

void expect_shed_when_the_server_dies(Workload workload) {
  EchoDouble server;
  LoadPlan plan = open_plan(server.target(), 500);
  plan.workload = workload;
  plan.duration = 1500ms;
  struct KillAtFirstSecond : Progress {
    EchoDouble& server;
    explicit KillAtFirstSecond(EchoDouble& victim) : server(victim) {}
    void second_passed(const TimelinePoint&) override { server.kill(); }
  } progress(server);
  const RunResult result = run_load(plan, &progress);
  EXPECT_EQ(result.requests.scheduled, 750U);
  EXPECT_GT(result.requests.shed, 0U);
  EXPECT_EQ(result.requests.shed_by_generator, 0U);
  EXPECT_GT(result.connections.failed.refused, 0U);
  EXPECT_LT(result.connections.failed.refused, 500U);  // it does not spin
  // On a machine with much else to do, the generator may rightly call its own run invalid.
  EXPECT_NE(exit_code(result), exit_good) << ::testing::PrintToString(result.generator.reasons);
  expect_balance(result);
}

TEST(OpenLoop, RefusedConnectionsShedTheirRequests) {
  expect_shed_when_the_server_dies(Workload::crr);
}

TEST(OpenLoop, HeldConnectionsThatAreLostShedWhatIsDue) {
  expect_shed_when_the_server_dies(Workload::rr);
}

TEST(OpenLoop, ServerThatEndsEveryConnectionAtOnceDoesNotMakeItSpin) {
  mp::RawValue<std::atomic<std::uint64_t>> accepted;
  const tests::ScriptedServer server([&accepted](int) { ++*accepted; });
  const RunResult result = run_load(open_plan(server.target(), 10), nullptr);
  EXPECT_LT(*accepted, 500U);  // five connections, each again after 10 ms, for half a second
  EXPECT_EQ(result.requests.scheduled, 3U);
  expect_balance(result);
}

TEST(OpenLoop, KilledWorkersShareIsShedByTheGenerator) {
  const EchoDouble server;
  LoadPlan plan = open_plan(server.target(), 1000);
  plan.duration = 1500ms;
  struct KillAWorker : Progress {
    void second_passed(const TimelinePoint&) override {
      kill(mp::active_children().back().pid, SIGKILL);
    }
  } progress;
  const RunResult result = run_load(plan, &progress);
  EXPECT_EQ(result.requests.scheduled, 1500U);
  EXPECT_GT(result.requests.shed_by_generator, 100U);
  EXPECT_FALSE(result.generator.valid);
  EXPECT_EQ(exit_code(result), exit_invalid);
  EXPECT_EQ(result.requests.scheduled, result.requests.sent + result.requests.shed);
  EXPECT_EQ(result.requests.sent, result.requests.completed + result.requests.failed.all());
}

TEST(OpenLoop, InterruptEndsItWithWhatWasDueUntilThen) {
  const EchoDouble server;
  LoadPlan plan = open_plan(server.target(), 200);
  plan.duration = 1h;
  struct Interrupt : Progress {
    void second_passed(const TimelinePoint&) override { kill(getpid(), SIGINT); }
  } progress;
  const RunResult result = run_load(plan, &progress);
  EXPECT_TRUE(result.interrupted);
  EXPECT_GE(result.requests.scheduled, 200U);
  EXPECT_LT(result.requests.scheduled, 6000U);
  expect_balance(result);
}

/// Lets a server that stopped itself sleep for a while, and wakes it.
class Waker {
 public:
  Waker(const EchoDouble& server, sys::Duration sleep)
      : process_([this, pid = server.pid(), sleep] {
          while (tests::state_of(pid) != 'T') wait_until(sys::Clock::now() + 1ms);
          const auto begin = sys::Clock::now();
          wait_until(begin + sleep);
          *frozen_s_ = std::chrono::duration<double>(sys::Clock::now() - begin).count();
          kill(pid, SIGCONT);
        }) {
    process_.set_daemon(true);
    process_.start();
  }
  /// How long it slept, once it was woken.
  double frozen_s() {
    process_.join();
    return *frozen_s_;
  }

 private:
  static void wait_until(sys::Clock::time_point moment) {
    const timespec when = sys::Deadline::at(moment).to_timespec();
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr);
  }

  mp::RawValue<double> frozen_s_;
  mp::Process process_;
};

std::uint64_t count_above(const LatencyHistogram& histogram, std::uint64_t ns) {
  std::uint64_t count = 0;
  for (std::size_t i = LatencyHistogram::bucket_of(ns) + 1; i < LatencyHistogram::buckets; ++i)
    count += histogram.count_of(i);
  return count;
}

struct Freeze {
  std::uint64_t planned;
  double computed_p99_s;
  double computed_late;  // requests that take more than 100 ms
  RunResult result;
  double p99_s() const {
    return static_cast<double>(result.from_intended->value_at_quantile(0.99)) / 1e9;
  }
  double late_from_plan() const {
    return static_cast<double>(count_above(*result.from_intended, 100'000'000));
  }
  double late_from_send() const {
    return static_cast<double>(count_above(*result.from_send, 100'000'000));
  }
};

/// A run against a server that is frozen for a tenth of it. A request that is due t after the
/// beginning of the freeze waits for its rest: so 1 % of all wait for longer than the freeze less 1
/// % of the run.
Freeze run_with_freeze(int run_s) {
  constexpr double rate = 1000;
  EchoDouble server(
      {.answer = Answer::freeze_once,
       .freeze_at_byte = static_cast<std::uint64_t>(64 * rate * (0.1 + run_s * 0.4))});
  Waker waker(server, std::chrono::milliseconds(run_s * 100));
  LoadPlan plan = open_plan(server.target(), rate);
  plan.duration = std::chrono::seconds(run_s);
  RunResult result = run_load(plan, nullptr);
  const double frozen_s = waker.frozen_s();
  return {.planned = static_cast<std::uint64_t>(rate * run_s),
          .computed_p99_s = frozen_s - 0.01 * run_s,
          .computed_late = (frozen_s - 0.1) * rate,
          .result = std::move(result)};
}

// What the machine adds makes it more, and never less.
TEST(OpenLoop, FreezeIsSeenFromThePlanAndNotFromTheSend) {
  Freeze freeze = run_with_freeze(tests::soak(3, 10));
  // Where the machine stands still until the end of the run, requests are left that were never
  // sent.
  for (int again = 0; again < 2 && freeze.result.requests.shed > 0; ++again)
    freeze = run_with_freeze(tests::soak(3, 10));
  EXPECT_EQ(freeze.result.requests.scheduled, freeze.planned);
  EXPECT_EQ(freeze.result.requests.completed, freeze.planned);
  EXPECT_GE(freeze.p99_s(), freeze.computed_p99_s * 0.998);
  EXPECT_GE(freeze.late_from_plan(), freeze.computed_late * 0.99);
  EXPECT_LE(freeze.late_from_send(), freeze.late_from_plan() / 2);
}

// With the machine for itself, as in a soak, it is all that is seen, and the run is valid.
TEST(OpenLoop, FreezeIsAllThatIsSeen) {
  if (tests::soak(0, 1) == 0) GTEST_SKIP() << "in a soak";
  bool seen = false;
  for (int attempt = 0; attempt < 5 && !seen; ++attempt) {
    const Freeze freeze = run_with_freeze(10);
    seen = freeze.result.generator.valid && freeze.p99_s() <= freeze.computed_p99_s + 0.05 &&
           freeze.late_from_plan() <= freeze.computed_late * 1.05 + 10 &&
           freeze.late_from_send() <= freeze.result.plan.connections;  // one in flight on each
  }
  EXPECT_TRUE(seen);
}

TEST(Load, LeavesNoDescriptorAndNoChild) {
  const EchoDouble server;
  const std::size_t before = open_descriptors();
  const std::size_t children_before = mp::active_children().size();
  run_load(short_plan(server.target()), nullptr);
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(mp::active_children().size(), children_before);
}

}  // namespace
}  // namespace forkecho::client
