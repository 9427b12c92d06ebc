#include "client/timeline.h"

#include <algorithm>
#include <utility>

#include "client/hdr_encoding.h"
#include "client/tally.h"

namespace forkecho::client {
namespace {

ErrorKinds difference(const ErrorKinds& now, const ErrorKinds& before) {
  return {.refused = now.refused - before.refused,
          .timeout = now.timeout - before.timeout,
          .reset = now.reset - before.reset,
          .cut_short = now.cut_short - before.cut_short,
          .wrong = now.wrong - before.wrong,
          .other = now.other - before.other};
}

}  // namespace

const TimelinePoint& Timeline::add_point(double t_s) {
  Boxed<LatencyHistogram> all;
  merge_all(books_, &WorkerBooks::latency, *all);
  Boxed<LatencyHistogram> since = all;
  since->subtract(*seen_);
  seen_ = std::move(all);
  const ErrorKinds errors = tally_errors(books_);
  const ErrorKinds new_errors = difference(errors, std::exchange(errors_seen_, errors));
  completed_told_ += since->count();
  points_.push_back({.t_s = t_s,
                     .completed = since->count(),
                     .errors = new_errors.all(),
                     .p50_ns = since->value_at_quantile(0.5),
                     .p99_ns = since->value_at_quantile(0.99),
                     .hdr = since->count() == 0 ? "" : encode_hdr(to_hdr(*since)),
                     .kinds = new_errors});
  return points_.back();
}

void Timeline::add_rest(double t_s) {
  std::uint64_t completed = 0;
  for (const WorkerBooks& worker : books_) completed += worker.latency.count();
  const bool nothing =
      completed == completed_told_ && tally_errors(books_).all() == errors_seen_.all();
  if (!nothing) add_point(points_.empty() ? t_s : std::max(t_s, points_.back().t_s));
}

}  // namespace forkecho::client
