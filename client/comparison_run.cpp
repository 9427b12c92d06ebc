#include "client/comparison_run.h"

#include <algorithm>
#include <csignal>
#include <deque>
#include <memory>

#include "client/load.h"
#include "client/run_program.h"
#include "client/server_sampler.h"
#include "client/server_under_test.h"
#include "client/temporary_directory.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

constexpr auto time_to_start = 10s;
constexpr auto time_to_stop = 10s;
constexpr auto time_to_answer = 5s;
// When to look into a server whose load lasts as long as a number of requests takes.
constexpr auto middle_of_a_number = 100ms;

sys::Duration middle_of(const LoadPlan& plan) {
  return plan.warmup + (plan.requests > 0 ? sys::Duration(middle_of_a_number) : plan.duration / 2);
}

/// "a,b" as {"a", "b"}.
std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <typename Parts>
bool has_twins(const Parts& parts) {
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    if (std::find(std::next(part), parts.end(), *part) != parts.end()) return true;
  }
  return false;
}

ConnectionUse use_of(const LoadPlan& plan) {
  return plan.workload == Workload::crr ? ConnectionUse::one_request : ConnectionUse::held;
}

/// Keeps SIGINT and SIGTERM waiting while it lives: one that comes between two slices ends the next
/// one at once, as run_load takes what waits, and so ends the rounds like any other.
class SignalsKeptWaiting {
 public:
  SignalsKeptWaiting() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals_, &before_);
  }
  SignalsKeptWaiting(const SignalsKeptWaiting&) = delete;
  SignalsKeptWaiting& operator=(const SignalsKeptWaiting&) = delete;
  ~SignalsKeptWaiting() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  /// True when one has come; it is then over.
  bool take() const {
    const timespec at_once{};
    return sigtimedwait(&signals_, nullptr, &at_once) > 0;
  }

 private:
  sigset_t signals_{};
  sigset_t before_{};
};

/// run_load, whose complaint names the one of several servers that did not answer.
RunResult load(const LoadPlan& plan, const std::string& name) {
  try {
    return run_load(plan, nullptr);
  } catch (const NothingAnswered& error) {
    throw NothingAnswered(name + ": " + error.what());
  } catch (const MalformedTarget& error) {
    throw MalformedTarget(name + ": " + error.what());
  }
}

/// One of those that are compared, and what is known of it so far.
struct Contender {
  DesignResult result;
  std::string address;
  std::unique_ptr<ServerUnderTest> server;  // null: somebody else's
  DesignSlices slices;
};

class ComparisonRun {
 public:
  ComparisonRun(const ComparisonPlan& plan, ComparisonProgress* progress)
      : plan_(plan), progress_(progress) {}

  Comparison run() {
    add_targets();
    start_designs();
    make_rounds();
    stop_servers();
    return summary();
  }

 private:
  struct Slice {
    Contender* contender;
    RunResult run;
    std::optional<ServerSample> sample;
  };

  void add_targets();
  void start_designs();
  void start(Contender& contender, const ServerDesign& design);
  void make_rounds();
  bool make_round(unsigned round);
  Slice make_slice(Contender& contender) const;
  void stop_servers();
  Comparison summary();

  const ComparisonPlan& plan_;
  ComparisonProgress* progress_;
  std::optional<TemporaryDirectory> directory_;  // made for the first server that we start
  std::deque<Contender> contenders_;             // their servers go before the directory
  std::string started_at_;
  unsigned rounds_done_ = 0;
  LoadPlan plan_as_run_ = plan_.slice;
  Machine machine_;
};

void ComparisonRun::add_targets() {
  for (const NamedTarget& target : plan_.targets) {
    Contender& contender = contenders_.emplace_back();
    contender.result.name = target.name;
    contender.result.in_words = target.address;
    contender.address = target.address;
  }
}

void ComparisonRun::start_designs() {
  std::string help;
  if (!plan_.designs.empty()) {
    help =
        run_program({plan_.server_program, "run", "--help"}, sys::Deadline::after(time_to_answer))
            .output;
  }
  for (const ServerDesign* design : plan_.designs) {
    Contender& contender = contenders_.emplace_back();
    contender.result.name = design->name;
    contender.result.in_words = design->in_words;
    contender.result.not_applicable =
        why_not_applicable(*design, use_of(plan_.slice), plan_.slice.connections);
    if (!contender.result.not_applicable) {
      contender.result.not_applicable = why_not_offered(*design, help);
    }
    if (!contender.result.not_applicable) start(contender, *design);
  }
}

void ComparisonRun::start(Contender& contender, const ServerDesign& design) {
  if (!directory_) directory_.emplace();
  contender.server = std::make_unique<ServerUnderTest>(ServerUnderTest::Options{
      .name = contender.result.name,
      .program = plan_.server_program,
      .directory = directory_->path(),
      .options = options_for(design, use_of(plan_.slice), plan_.slice.connections),
      .processors = plan_.slice.pins.server});
  contender.server->start(sys::Deadline::after(time_to_start));
  contender.address = contender.server->address();
}

void ComparisonRun::make_rounds() {
  const SignalsKeptWaiting signals;
  while (rounds_done_ < plan_.rounds && make_round(rounds_done_)) {
    ++rounds_done_;
    if (signals.take()) return;
  }
}

/// False when it was interrupted; what it measured until then is forgotten, so that every design
/// has the same number of slices.
bool ComparisonRun::make_round(unsigned round) {
  std::vector<Slice> slices;
  for (const std::size_t place : order_of_round(round, contenders_.size())) {
    Contender& contender = contenders_[place];
    if (contender.result.not_applicable) continue;
    if (progress_ != nullptr)
      progress_->slice_begins(round + 1, plan_.rounds, contender.result.name);
    slices.push_back(make_slice(contender));
    if (slices.back().run.interrupted) return false;
  }
  if (slices.empty()) return false;
  if (started_at_.empty()) started_at_ = slices.front().run.started_at;
  for (Slice& slice : slices) {
    plan_as_run_ = slice.run.plan;
    machine_ = slice.run.machine;
    slice.contender->slices.add(slice.run, slice.sample);
  }
  return true;
}

ComparisonRun::Slice ComparisonRun::make_slice(Contender& contender) const {
  LoadPlan plan = plan_.slice;
  plan.target = contender.address;
  if (!contender.server) {
    return {.contender = &contender, .run = load(plan, contender.result.name), .sample = {}};
  }
  const auto before = contender.server->status(sys::Deadline::after(time_to_answer));
  ServerSampler sampler(contender.server->pid(), middle_of(plan));
  Slice slice{.contender = &contender, .run = load(plan, contender.result.name), .sample = {}};
  slice.sample = sampler.finish();
  const auto after = contender.server->status(sys::Deadline::after(time_to_answer));
  if (slice.sample && before && after) add_counts(*slice.sample, *before, *after);
  return slice;
}

void ComparisonRun::stop_servers() {
  for (Contender& contender : contenders_) {
    if (contender.server) contender.server->stop(sys::Deadline::after(time_to_stop));
  }
}

Comparison ComparisonRun::summary() {
  Comparison comparison{.started_at = started_at_,
                        .machine = machine_,
                        .plan = plan_as_run_,
                        .rounds_asked = plan_.rounds,
                        .rounds_done = rounds_done_,
                        .baseline = {},
                        .designs = {}};
  comparison.plan.target.clear();
  for (Contender& contender : contenders_) {
    contender.slices.fill_in(contender.result);
    comparison.designs.push_back(std::move(contender.result));
  }
  relate_to_baseline(comparison);
  return comparison;
}

}  // namespace

std::optional<std::vector<NamedTarget>> parse_named_targets(std::string_view text) {
  std::vector<NamedTarget> targets;
  std::vector<std::string> names;
  for (const std::string& part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    if (equals == part.npos || equals == 0 || equals + 1 == part.size()) return std::nullopt;
    targets.push_back({.name = part.substr(0, equals), .address = part.substr(equals + 1)});
    names.push_back(targets.back().name);
  }
  return has_twins(names) ? std::nullopt : std::optional(std::move(targets));
}

std::optional<std::vector<const ServerDesign*>> parse_designs(std::string_view text) {
  std::vector<const ServerDesign*> designs;
  for (const std::string& name : split(text, ',')) {
    designs.push_back(find_server_design(name));
    if (designs.back() == nullptr) return std::nullopt;
  }
  return has_twins(designs) ? std::nullopt : std::optional(std::move(designs));
}

Comparison run_comparison(const ComparisonPlan& plan, ComparisonProgress* progress) {
  return ComparisonRun(plan, progress).run();
}

}  // namespace forkecho::client
