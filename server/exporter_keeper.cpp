#include "server/exporter_keeper.h"

#include <algorithm>
#include <csignal>

#include "common/log/log.h"
#include "common/mp/reap.h"
#include "server/exit_code.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

constexpr int backlog = 128;
/// Who lived for so long had settled in and served.
constexpr sys::Duration long_life = 1s;
constexpr std::chrono::milliseconds first_pause = 100ms;
constexpr std::chrono::milliseconds longest_pause = 60s;
constexpr auto end_patience = 5s;

}  // namespace

Listener open_metrics_listener(const std::string& text) {
  const sys::ResolvedAddresses resolved = sys::resolve(text);
  if (!resolved.error.empty()) {
    throw FatalError(resolved.malformed ? ExitCode::usage : ExitCode::unavailable,
                     "--metrics: " + resolved.error);
  }
  try {
    return Listener::open(resolved.addresses.front(), backlog);
  } catch (const std::system_error& error) {
    throw FatalError(ExitCode::unavailable, "--metrics: " + std::string(error.what()));
  }
}

std::chrono::milliseconds next_exporter_pause(sys::Duration lived,
                                              std::chrono::milliseconds previous) {
  if (lived >= long_life + previous) return 0ms;
  return previous == 0ms ? first_pause : std::min(previous * 2, longest_pause);
}

ExporterKeeper::ExporterKeeper(Listener listener, SettleIn settle_in)
    : settle_in_(std::move(settle_in)) {
  listeners_.push_back(std::move(listener));
  listeners_.front().set_nonblocking();
  listeners_.front().keep_from_children();
  page_.memory().keep_from_children();
}

ExporterKeeper::~ExporterKeeper() {
  if (!leaves_listener_) listener().remove_path();
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  mp::reap_before(pid_, sys::Deadline::after(end_patience));
}

void ExporterKeeper::maintain() {
  if (pid_ == 0 && not_before_.passed()) start();
}

void ExporterKeeper::start() {
  process_.emplace([this] {
    page_.memory().make_read_only(0, page_.memory().size());
    settle_in_(listeners_, "exporter, metrics on " + address());
    run_metrics_exporter(listeners_, *page_);
  });
  process_->detach();  // it dies with the supervisor by itself
  started_ = sys::Clock::now();
  page_.memory().give_to_children();
  listeners_.front().give_to_children();
  try {
    process_->start();
    pid_ = *process_->pid();
    ++started_count_;
  } catch (const std::system_error& error) {
    pause_ = next_exporter_pause(0s, pause_);
    not_before_ = sys::Deadline::after(pause_);
    log::error("cannot start the metrics exporter: {}; the next try is in {} ms", error.what(),
               pause_.count());
  }
  listeners_.front().keep_from_children();
  page_.memory().keep_from_children();
}

bool ExporterKeeper::take_ended(pid_t pid) {
  if (pid_ == 0 || pid != pid_) return false;
  const auto exit = mp::reap_one(pid).exit;
  const int exitcode = exit ? exit->exitcode : mp::exit_unknown;
  process_.reset();
  pid_ = 0;
  pause_ = next_exporter_pause(sys::Clock::now() - started_, pause_);
  not_before_ = sys::Deadline::after(pause_);
  log::warning("metrics exporter {} {} {}; it is replaced{}", pid,
               exitcode < 0 ? "was ended by signal" : "ended with exit code", std::abs(exitcode),
               pause_ == 0s ? "" : " in " + std::to_string(pause_.count()) + " ms");
  return true;
}

void ExporterKeeper::publish(Metrics metrics) {
  metrics.exporters_started = started_count_;
  metrics.published_ns = sys::Clock::now().time_since_epoch().count();
  page_->publish(metrics);
}

}  // namespace forkecho::server
