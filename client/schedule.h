// Schedule: when each request of an open loop is to be sent, whatever the server does: an absolute
// plan in nanoseconds since the start of the run. Made by the pacer of each worker, each for its
// share, and by run_load to know what was planned.
//
// Pure: no clock is read. Requests are numbered over all workers; worker i of n has the numbers i,
// i + n, i + 2n, …, so that the shares are equal at any rate, also at one below the number of
// workers, and the sum is the whole plan without drift. Each moment is computed from its number
// (or, for Poisson, from a sum of some 10⁻¹⁶ relative error), not by adding rounded gaps.
#pragma once

#include <cstdint>
#include <limits>

#include "client/load_plan.h"
#include "common/sys/deadline.h"

namespace forkecho::client {

/// How many requests are to have begun by when: the rate rises evenly from 0 during the ramp, and
/// stays.
class RateCurve {
 public:
  /// `per_second` is above 0.
  RateCurve(double per_second, sys::Duration ramp);

  /// Expected arrivals from the start of the run to `moment`.
  double arrivals_by(sys::Duration moment) const;
  /// The moment, to the nearest nanosecond, by which `arrivals` more have come since `from`; never
  /// beyond some 290 years.
  sys::Duration moment_of(sys::Duration from, double arrivals) const;

 private:
  double per_ns_;
  sys::Duration ramp_;
};

/// A part of a run: its warm-up, or its measured part.
struct SchedulePart {
  static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

  sys::Duration from;               // since the start of the run
  sys::Duration until;              // no request is planned for this moment or a later one
  std::uint64_t limit = unlimited;  // of requests
  std::uint64_t seed = 0;           // of a Poisson process
};

/// One worker's share of what is planned for a part.
class Schedule {
 public:
  /// Constant: the first request at the very beginning of the part, and then one after every
  /// 1/rate. Poisson: exponential gaps; the same ones at every call with
  /// the same seed.
  Schedule(const RateCurve& curve, Arrivals arrivals, const SchedulePart& part,
           unsigned workers = 1, unsigned worker = 0);

  /// Nothing is left.
  bool over() const { return number_ >= part_.limit || due_ >= part_.until; }
  /// Of the next request, since the start of the run. Not when it is over.
  sys::Duration due() const { return due_; }
  /// The next request's number within the part, over all workers, from 0.
  std::uint64_t number() const { return number_; }
  void advance();
  /// Leaves out those that are due before `moment`; how many they were. In constant time for
  /// constant arrivals; for Poisson's in the time that it takes to draw them, some 10 ns each.
  std::uint64_t skip_due_before(sys::Duration moment);

 private:
  void draw_up_to(std::uint64_t number);
  double exponential();
  void set_due();

  RateCurve curve_;
  Arrivals arrivals_;
  SchedulePart part_;
  unsigned workers_;
  std::uint64_t number_;
  sys::Duration due_{};
  double drawn_ = 0;  // Poisson: expected arrivals from the part's beginning to the next request
  std::uint64_t draws_ = 0;
  std::uint64_t random_;
};

}  // namespace forkecho::client
