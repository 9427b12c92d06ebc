#include "client/load.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>
#include <vector>

#include "client/conntrack.h"
#include "client/first_connection.h"
#include "client/interrupt.h"
#include "client/pacer.h"
#include "client/payload.h"
#include "client/port_budget.h"
#include "client/run_clock.h"
#include "client/source_addresses.h"
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

/// What a run goes to, and from where.
struct Ends {
  std::vector<FirstConnection> firsts{};  // one for each target
  std::vector<sys::SocketAddress> sources{};
};

/// One run, in the parent.
class Run {
 public:
  Run(const LoadPlan& plan, Ends ends);
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
  void note_ports();
  void warn(Progress* progress);
  std::uint64_t sources_in_use() const;
  double connections_planned_within(sys::Duration window) const;
  std::vector<std::uint64_t> planned() const;
  std::optional<AndersonDarling> arrivals() const;
  double achieved_rps(std::uint64_t completed) const;
  double requested_rps() const;
  double planned_rps(std::uint64_t scheduled) const;
  void add_open_loop(GeneratorEvidence& evidence);
  void note_deaths();
  sys::Duration measured_for() const;
  GeneratorEvidence evidence();

  LoadPlan plan_;
  Machine machine_ = this_machine();
  std::vector<Exchange> exchanges_;
  std::vector<FirstConnection> firsts_;
  std::vector<sys::SocketAddress> targets_;
  std::vector<sys::SocketAddress> sources_;
  mp::RawValue<RunControl> control_;
  mp::RawValue<ArrivalSample> arrivals_;
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
  PortBudget ports_;
  std::deque<std::uint64_t> opened_;  // connections up to each of the last seconds
  std::string port_warning_;
  bool warned_ = false;
};

std::vector<sys::SocketAddress> addresses_of(const std::vector<FirstConnection>& firsts) {
  std::vector<sys::SocketAddress> addresses;
  for (const FirstConnection& first : firsts) addresses.push_back(first.address);
  return addresses;
}

/// All traffic stays on this machine.
bool is_loopback(const sys::SocketAddress& address) {
  const std::string text = address.to_string();
  return text.rfind("127.", 0) == 0 || text.rfind("[::1]", 0) == 0;
}

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

Run::Run(const LoadPlan& plan, Ends ends)
    : plan_(with_workers(plan)),
      exchanges_(make_exchanges(plan_)),
      firsts_(std::move(ends.firsts)),
      targets_(addresses_of(firsts_)),
      sources_(std::move(ends.sources)),
      books_(plan_.workers),
      clock_(make_clock(plan_)),
      timeline_(books_.all()),
      next_tick_(clock_.measure_start + 1s),
      kill_at_(plan_.requests == 0 ? clock_.measure_end + 3 * plan_.timeout + grace
                                   : Moment::max()),
      last_progress_(clock_.start),
      ports_(read_port_budget(sources_in_use(), std::ranges::all_of(targets_, is_loopback))) {
  if (is_open_loop(plan_)) arrivals_->stride = arrival_stride(plan_.rate);
  if (is_open_loop(plan_) && requests_on_each(plan_) != 0 && plan_.close == Close::fin)
    port_warning_ = port_warning(ports_, connections_planned_within(ports_.taken_for));
}

/// Of an open loop whose connections are made again and again.
double Run::connections_planned_within(sys::Duration window) const {
  const double run_s =
      plan_.requests != 0 ? seconds(plan_.warmup) + static_cast<double>(plan_.requests) / plan_.rate
                          : seconds(plan_.warmup + plan_.duration);
  return plan_.rate * std::min(seconds(window), run_s) /
         static_cast<double>(requests_on_each(plan_));
}

/// Each worker has its own; 0 where there are no ports.
std::uint64_t Run::sources_in_use() const {
  std::uint64_t sum = 0;
  for (const sys::SocketAddress& target : targets_) {
    if (target.is_unix()) continue;
    const std::size_t spread = SourceAddresses(plan_, target, 0).all().size() * plan_.workers;
    sum += std::max<std::size_t>(1, sources_.empty() ? spread : sources_.size());
  }
  return sum;
}

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
      run_worker({.plan = plan_,
                  .clock = clock_,
                  .control = *control_,
                  .books = books_[i],
                  .arrivals = *arrivals_,
                  .targets = targets_,
                  .sources = sources_,
                  .exchanges = exchanges_,
                  .index = i},
                 std::move(firsts_));
    });
    worker.set_name(fmt::format("load worker {}", i + 1));
    worker.set_daemon(true);
    worker.start();
  }
  firsts_.clear();
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
    warn(progress);
    wait_until(std::min(next_tick_, kill_at_));
    const Moment now = sys::Clock::now();
    if (now >= kill_at_) break;
    if (now < next_tick_) continue;
    next_tick_ += 1s;
    const TimelinePoint& point = timeline_.add_point(seconds(now - clock_.measure_start));
    if (progress != nullptr) progress->second_passed(point);
    note_conntrack();
    note_ports();
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

void Run::note_ports() {
  if (!port_warning_.empty() || plan_.close == Close::rst) return;
  const std::uint64_t now = tally(books_.all(), &WorkerBooks::total_connections);
  opened_.push_back(now);
  const auto window = static_cast<std::size_t>(ports_.taken_for / 1s);
  if (opened_.size() > window + 1) opened_.pop_front();
  const std::uint64_t before = opened_.size() > window ? opened_.front() : 0;
  port_warning_ = port_warning(ports_, static_cast<double>(now - before));
}

void Run::warn(Progress* progress) {
  if (port_warning_.empty() || std::exchange(warned_, true) || progress == nullptr) return;
  progress->warn(port_warning_);
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

/// Of each worker; not of a run that was ended early, whose plan nobody can tell.
std::vector<std::uint64_t> Run::planned() const {
  std::vector<std::uint64_t> shares;
  if (!is_open_loop(plan_) || control_->stop) return shares;
  const SchedulePart part = measured_part(plan_);
  for (unsigned i = 0; i < plan_.workers; ++i) {
    if (books_[i].ended.get() != 0) {
      shares.push_back(0);  // it has told
      continue;
    }
    Schedule share(RateCurve(plan_.rate, plan_.ramp), plan_.arrivals, part, plan_.workers, i);
    shares.push_back(share.skip_due_before(part.until));
  }
  return shares;
}

std::optional<AndersonDarling> Run::arrivals() const {
  std::vector<sys::Duration> at;
  for (const auto& ns : arrivals_->at_ns) {
    const std::uint64_t moment = ns.load(std::memory_order_relaxed);
    const auto since = Moment(std::chrono::nanoseconds(moment)) - clock_.start;
    at.push_back(moment == 0 ? sys::Duration::zero() : since);
  }
  return test_arrivals(RateCurve(plan_.rate, plan_.ramp), arrivals_->stride, at);
}

void Run::add_open_loop(GeneratorEvidence& evidence) {
  const auto books = books_.all();
  const RequestCounts requests = tally_requests(books, planned());
  Boxed<LatencyHistogram> lag;
  Boxed<LatencyHistogram> latency;
  merge_all(books, &WorkerBooks::lag, *lag);
  merge_all(books, &WorkerBooks::latency, *latency);
  evidence.open_loop = {.planned_rps = planned_rps(requests.scheduled),
                        .achieved_rps = achieved_rps(requests.completed),
                        .scheduled = requests.scheduled,
                        .completed = requests.completed,
                        .shed_by_server = requests.shed - requests.shed_by_generator,
                        .shed_by_generator = requests.shed_by_generator,
                        .lag = {.p50_ns = lag->value_at_quantile(0.5),
                                .p99_ns = lag->value_at_quantile(0.99),
                                .max_ns = lag->max()},
                        .latency_p99_ns = latency->value_at_quantile(0.99),
                        .is_poisson = plan_.arrivals == Arrivals::poisson,
                        .poisson = arrivals()};
}

double Run::achieved_rps(std::uint64_t completed) const {
  const double length = seconds(measured_for());
  return length > 0 ? static_cast<double>(completed) / length : 0;
}

/// Over the measured part, in which a ramp may still rise.
double Run::requested_rps() const {
  if (plan_.requests != 0 || plan_.ramp <= plan_.warmup) return plan_.rate;
  const RateCurve curve(plan_.rate, plan_.ramp);
  const SchedulePart part = measured_part(plan_);
  return (curve.arrivals_by(part.until) - curve.arrivals_by(part.from)) / seconds(plan_.duration);
}

/// Of a run by number, or ended early, the plan's length is not known.
double Run::planned_rps(std::uint64_t scheduled) const {
  if (plan_.requests != 0 || control_->stop) return requested_rps();
  return static_cast<double>(scheduled) / seconds(plan_.duration);
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
      .wanted_cpu_percent = wanted_cpu_percent(books),
      .machine_busy_percent = machine_busy_percent(books),
      .given_up = given_up_};
  if (is_open_loop(plan_)) add_open_loop(evidence);
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
  for (const sys::SocketAddress& target : targets_)
    result.address += (result.address.empty() ? "" : ",") + target.to_string();
  for (const std::string& target : plan_.more_targets) result.target += ',' + target;
  result.plan = plan_;
  const auto ago = std::chrono::duration_cast<std::chrono::system_clock::duration>(
      sys::Clock::now() - clock_.measure_start);
  result.started_at = utc_time(std::chrono::system_clock::now() - ago);
  result.duration_s = seconds(measured_for());
  result.interrupted = interrupted_;
  result.machine = machine_;
  result.connections = tally_connections(books);
  result.requests = tally_requests(books, planned());
  result.achieved_rps = achieved_rps(result.requests.completed);
  if (is_open_loop(plan_)) {
    result.requested_rps = requested_rps();
    result.planned_rps = planned_rps(result.requests.scheduled);
  }
  if (result.duration_s > 0) {
    const auto bytes = [&](Counter WorkerBooks::*counter) {
      return static_cast<double>(tally(books, counter)) / result.duration_s;
    };
    result.bytes_out_per_s = bytes(&WorkerBooks::measured_bytes_out);
    result.bytes_in_per_s = bytes(&WorkerBooks::measured_bytes_in);
  }
  merge_all(books, &WorkerBooks::latency, *result.from_intended);
  result.from_send = result.from_intended;
  if (is_open_loop(plan_)) {
    result.from_send = {};
    merge_all(books, &WorkerBooks::from_send, *result.from_send);
  }
  merge_all(books, &WorkerBooks::connect, *result.connect);
  merge_all(books, &WorkerBooks::first_byte, *result.first_byte);
  merge_all(books, &WorkerBooks::close, *result.close);
  result.totals = tally_totals(books);
  result.verification = tally_verification(books);
  const GeneratorEvidence seen = evidence();
  result.generator = judge(seen);
  result.timeline = timeline_.points();
  for (const std::string& warning : {port_warning_, arrivals_warning(seen)}) {
    if (!warning.empty()) result.warnings.push_back(warning);
  }
  return result;
}

std::vector<FirstConnection> connect_to_all(const LoadPlan& plan) {
  std::vector<std::string> targets = plan.more_targets;
  targets.insert(targets.begin(), plan.target);
  std::vector<FirstConnection> firsts;
  for (const std::string& target : targets) {
    if (const auto wrong = sys::find_malformation(target); !wrong.empty())
      throw MalformedTarget(wrong);
  }
  for (const std::string& target : targets) {
    FirstConnection first =
        connect_first(target, plan.timeout, sys::Deadline::after(plan.wait_for));
    if (first.malformed) throw MalformedTarget(first.error);
    if (!first.socket) throw NothingAnswered(first.error);
    firsts.push_back(std::move(first));
  }
  return firsts;
}

std::vector<sys::SocketAddress> sources_of(const LoadPlan& plan) {
  if (plan.source.empty()) return {};
  constexpr std::size_t most = 4096;
  GivenSources sources = find_sources(plan.source, most);
  if (!sources.error.empty()) throw ImpossiblePlan(sources.error);
  return std::move(sources.addresses);
}

void check_families(const Ends& ends) {
  if (ends.sources.empty()) return;
  const int family = ends.sources.front().family();
  for (const FirstConnection& first : ends.firsts) {
    if (first.address.family() != family)
      throw ImpossiblePlan("--source is not of the same kind as " + first.address.to_string());
  }
}

}  // namespace

RunResult run_load(const LoadPlan& plan, Progress* progress) {
  if (const std::string wrong = find_contradiction(plan); !wrong.empty())
    throw ImpossiblePlan(wrong);
  Ends ends{.sources = sources_of(plan)};
  ends.firsts = connect_to_all(plan);
  check_families(ends);
  Run run(plan, std::move(ends));
  run.start();
  run.supervise(progress);
  return run.result();
}

}  // namespace forkecho::client
