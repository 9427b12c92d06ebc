#include "client/load.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "client/conntrack.h"
#include "client/first_connection.h"
#include "client/interrupt.h"
#include "client/payload.h"
#include "client/run_clock.h"
#include "client/tally.h"
#include "client/timeline.h"
#include "client/verdict.h"
#include "client/worker.h"
#include "client/worker_books.h"
#include "common/mp/process.h"
#include "common/mp/wait.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using Moment = sys::Clock::time_point;

// To fork all workers before the moment at which they begin together.
constexpr auto time_to_start = 10ms;
constexpr auto time_to_start_each = 2ms;
// Beyond the timeouts, for workers to end by themselves.
constexpr auto grace = 5s;

double seconds(sys::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string utc_time(std::chrono::system_clock::time_point moment) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(moment);
  const auto whole = std::chrono::floor<std::chrono::seconds>(ms);
  return fmt::format("{:%FT%T}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(whole)),
                     (ms - whole).count());
}

/// One run, in the parent.
class Run {
 public:
  Run(const LoadPlan& plan, FirstConnection first);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run();

  void start();
  void supervise(Progress* progress);
  RunResult result();

 private:
  bool any_alive();
  Moment next_event() const;
  void wait_until(Moment moment);
  void end_early(Moment now);
  void give_up_if_stalled(Moment now);
  void note_conntrack();
  void note_deaths();
  sys::Duration measured_for() const;
  GeneratorEvidence evidence();

  LoadPlan plan_;
  Machine machine_ = this_machine();
  std::vector<Exchange> exchanges_;
  FirstConnection first_;
  sys::SocketAddress target_ = first_.address;
  mp::RawValue<RunControl> control_;
  mp::RawArray<WorkerBooks> books_;
  RunClock clock_;
  InterruptWatch interrupts_;
  std::vector<mp::Process> workers_;
  Timeline timeline_;
  Moment next_tick_;
  Moment kill_at_;
  Moment ended_early_at_ = Moment::max();
  bool interrupted_ = false;
  std::uint64_t completed_before_ = 0;
  Moment last_progress_;
  bool conntrack_exhausted_ = false;
  std::string given_up_;
  std::vector<std::string> dead_workers_;
};

LoadPlan with_workers(LoadPlan plan) {
  plan.workers = worker_count(plan, this_machine().processors);
  return plan;
}

RunClock make_clock(const LoadPlan& plan) {
  const Moment start = sys::Clock::now() + time_to_start + plan.workers * time_to_start_each;
  const Moment measure_start = start + plan.warmup;
  return {.start = start,
          .measure_start = measure_start,
          .measure_end = plan.requests == 0 ? measure_start + plan.duration : Moment::max()};
}

Run::Run(const LoadPlan& plan, FirstConnection first)
    : plan_(with_workers(plan)),
      exchanges_(make_exchanges(plan_)),
      first_(std::move(first)),
      books_(plan_.workers),
      clock_(make_clock(plan_)),
      timeline_(books_.all()),
      next_tick_(clock_.measure_start + 1s),
      kill_at_(plan_.requests == 0 ? clock_.measure_end + 3 * plan_.timeout + grace
                                   : Moment::max()),
      last_progress_(clock_.start) {}

Run::~Run() {
  for (mp::Process& worker : workers_) {
    if (!worker.is_alive()) continue;
    worker.kill();
    worker.join();
  }
}

void Run::start() {
  workers_.reserve(plan_.workers);
  for (unsigned i = 0; i < plan_.workers; ++i) {
    mp::Process& worker = workers_.emplace_back([this, i] {
      FirstConnection first = std::move(first_);
      if (i != 0) first = {};
      run_worker({.plan = plan_,
                  .clock = clock_,
                  .control = *control_,
                  .books = books_[i],
                  .target = target_,
                  .exchanges = exchanges_,
                  .index = i,
                  .connections = share_of(plan_.connections, plan_.workers, i)},
                 std::move(first));
    });
    worker.set_name(fmt::format("load worker {}", i + 1));
    worker.set_daemon(true);
    worker.start();
  }
  first_.socket.reset();
}

bool Run::any_alive() {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](mp::Process& worker) { return worker.is_alive(); });
}

/// Until a worker ends, a signal comes or `moment` is there.
void Run::wait_until(Moment moment) {
  std::vector<mp::Waitable> events;
  for (mp::Process& worker : workers_) {
    if (worker.is_alive()) events.emplace_back(worker);
  }
  const mp::Waitable interrupt = interrupts_.descriptor();
  if (!interrupted_) events.push_back(interrupt);
  const auto ready = mp::wait(events, sys::Deadline::at(moment));
  if (std::find(ready.begin(), ready.end(), interrupt) == ready.end()) return;
  interrupts_.take();
  interrupted_ = true;
  end_early(sys::Clock::now());
}

void Run::end_early(Moment now) {
  if (control_->stop.exchange(true)) return;
  ended_early_at_ = now;
  kill_at_ = std::min(kill_at_, now + 3 * plan_.timeout + grace);
}

/// A run by number has no end of its own when the server is gone for good.
void Run::give_up_if_stalled(Moment now) {
  const std::uint64_t completed = tally(books_.all(), &WorkerBooks::requests_completed);
  const bool warming_up = now < clock_.measure_start;
  if (warming_up || completed != std::exchange(completed_before_, completed)) last_progress_ = now;
  const sys::Duration patience = plan_.timeout + grace;
  if (plan_.requests == 0 || now - last_progress_ < patience || control_->stop) return;
  given_up_ = fmt::format("no reply for {:.0f} s: given up after {} of {} requests",
                          seconds(patience), completed, plan_.requests);
  end_early(now);
}

void Run::supervise(Progress* progress) {
  while (any_alive()) {
    wait_until(std::min(next_tick_, kill_at_));
    const Moment now = sys::Clock::now();
    if (now >= kill_at_) break;
    if (now < next_tick_) continue;
    next_tick_ += 1s;
    const TimelinePoint& point = timeline_.add_point(seconds(now - clock_.measure_start));
    if (progress != nullptr) progress->second_passed(point);
    note_conntrack();
    give_up_if_stalled(now);
  }
  note_conntrack();
  note_deaths();
  timeline_.add_rest(seconds(measured_for()));
}

/// Looked at each second, since the table empties again after the run.
void Run::note_conntrack() {
  if (conntrack_exhausted_ || tally(books_.all(), &WorkerBooks::connections_timed_out) == 0) return;
  const auto table = read_conntrack();
  conntrack_exhausted_ = table && is_exhausted(*table);
}

void Run::note_deaths() {
  for (mp::Process& worker : workers_) {
    if (worker.is_alive()) {
      worker.kill();
      worker.join();
      dead_workers_.push_back(worker.name() + " did not end and was killed");
    } else if (const int code = worker.exitcode().value_or(0); code != 0) {
      dead_workers_.push_back(code < 0
                                  ? fmt::format("{} was killed by signal {}", worker.name(), -code)
                                  : fmt::format("{} ended with exit code {}", worker.name(), code));
    }
  }
}

/// To the end of the last request; at least as long as the plan says, unless the run was ended
/// early.
sys::Duration Run::measured_for() const {
  Moment end = clock_.measure_start;
  for (const WorkerBooks& books : books_.all()) {
    end = std::max(end, Moment(std::chrono::nanoseconds(books.last_outcome_ns.get())));
  }
  if (plan_.requests == 0) end = std::max(end, std::min(clock_.measure_end, ended_early_at_));
  return end - clock_.measure_start;
}

GeneratorEvidence Run::evidence() {
  const auto books = books_.all();
  GeneratorEvidence evidence{
      .measured_s = seconds(measured_for()),
      .cpu_percent = cpu_percent(books),
      .ports_exhausted = tally(books, &WorkerBooks::ports_exhausted),
      .descriptors_exhausted = tally(books, &WorkerBooks::descriptors_exhausted),
      .conntrack_exhausted = conntrack_exhausted_,
      .dead_workers = dead_workers_,
      .given_up = given_up_};
  for (const WorkerBooks& worker : books) {
    if (worker.other_error.get() != 0)
      evidence.other_error = static_cast<int>(worker.other_error.get());
  }
  return evidence;
}

RunResult Run::result() {
  const auto books = books_.all();
  RunResult result;
  result.target = plan_.target;
  result.address = target_.to_string();
  result.plan = plan_;
  const auto ago = std::chrono::duration_cast<std::chrono::system_clock::duration>(
      sys::Clock::now() - clock_.measure_start);
  result.started_at = utc_time(std::chrono::system_clock::now() - ago);
  result.duration_s = seconds(measured_for());
  result.interrupted = interrupted_;
  result.machine = machine_;
  result.connections = tally_connections(books);
  result.requests = tally_requests(books);
  if (result.duration_s > 0)
    result.achieved_rps = static_cast<double>(result.requests.completed) / result.duration_s;
  merge_all(books, &WorkerBooks::latency, *result.from_intended);
  result.from_send = result.from_intended;
  merge_all(books, &WorkerBooks::connect, *result.connect);
  merge_all(books, &WorkerBooks::first_byte, *result.first_byte);
  merge_all(books, &WorkerBooks::close, *result.close);
  result.totals = tally_totals(books);
  result.verification = tally_verification(books);
  result.generator = judge(evidence());
  result.timeline = timeline_.points();
  return result;
}

}  // namespace

RunResult run_load(const LoadPlan& plan, Progress* progress) {
  FirstConnection first =
      connect_first(plan.target, plan.timeout, sys::Deadline::after(plan.wait_for));
  if (first.malformed) throw MalformedTarget(first.error);
  if (!first.socket) throw NothingAnswered(first.error);
  Run run(plan, std::move(first));
  run.start();
  run.supervise(progress);
  return run.result();
}

}  // namespace forkecho::client
