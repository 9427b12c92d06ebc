// Timeline: what each second of a run brought, read from the workers' books while they go on. Used
// by run_load in the parent. Every completed request is in exactly one point, and in that point's
// count as in its latencies: both are the histogram's, since the books are written meanwhile.
#pragma once

#include <span>
#include <vector>

#include "client/boxed.h"
#include "client/run_result.h"
#include "client/worker_books.h"

namespace forkecho::client {

class Timeline {
 public:
  explicit Timeline(std::span<const WorkerBooks> books) : books_(books) {}

  /// Closes the point that ends `t_s` seconds after the start of the measured part.
  const TimelinePoint& add_point(double t_s);
  /// The same for what is left at the end, unless that is nothing.
  void add_rest(double t_s);
  const std::vector<TimelinePoint>& points() const { return points_; }

 private:
  std::span<const WorkerBooks> books_;
  std::vector<TimelinePoint> points_;
  Boxed<LatencyHistogram> seen_;
  std::uint64_t completed_told_ = 0;
  ErrorKinds errors_seen_;
};

}  // namespace forkecho::client
