#include "server/admission_watch.h"

#include "common/log/log.h"
#include "common/sys/duration.h"
#include "server/stress.h"

namespace forkecho::server {
namespace {

/// Of the processes that refused somebody lately, the one that is surest names the source. What it
/// wrote is shown, not believed.
Source most_refused(const Generations& generations, sys::Clock::time_point now) {
  Source source = Source::uncounted;
  std::uint64_t votes = 0;
  generations.for_each_pages([&](const GenerationPages& pages) {
    for (const ProcessPage& page : pages.all()) {
      const MostRefused& most = page.most_refused;
      const sys::Clock::time_point since{
          sys::Duration(static_cast<std::int64_t>(most.since.get()))};
      if (most.votes.get() <= votes || now - since > 2 * RefusalLog::interval) continue;
      votes = most.votes.get();
      source = Source{most.source.get()};
    }
  });
  return source;
}

}  // namespace

void AdmissionWatch::tick(const Generations& generations, const BookTotals& totals,
                          sys::Clock::time_point now) {
  follow_stress(generations, totals.active());
  const auto line =
      refusals_.note(now, totals.refused, [&] { return most_refused(generations, now); });
  if (line) log::warning("{}", *line);
}

void AdmissionWatch::follow_stress(const Generations& generations, std::uint64_t active) {
  const Options& options = generations.options();
  const bool before = stressed_;
  stressed_ = needs_short_ticks(options) && decide_stress(before, active, options.max_connections);
  generations.for_each_pages([this](const GenerationPages& pages) {
    if (pages.admission.stress)
      (*pages.admission.stress)->store(stressed_, std::memory_order_relaxed);
  });
  if (stressed_ == before) return;
  if (stressed_) {
    log::warning("stress: {} of {} connections are in use; silent clients are given {} at most",
                 active, options.max_connections, sys::format_duration(options.timeouts.stress));
  } else {
    log::info("stress is over: {} of {} connections are in use", active, options.max_connections);
  }
}

}  // namespace forkecho::server
