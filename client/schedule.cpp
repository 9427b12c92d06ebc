#include "client/schedule.h"

#include <algorithm>
#include <cmath>

namespace forkecho::client {
namespace {

constexpr double longest_ns = 9.2e18;  // what 64 bits hold

double ns(sys::Duration duration) {
  return static_cast<double>(duration.count());
}

sys::Duration rounded(double nanoseconds) {
  return sys::Duration(std::llround(std::min(nanoseconds, longest_ns)));
}

/// `from` + `nanoseconds`, kept within what a Duration holds.
sys::Duration later(sys::Duration from, double nanoseconds) {
  const double room = longest_ns - ns(from);
  return from + rounded(std::min(nanoseconds, room));
}

}  // namespace

RateCurve::RateCurve(double per_second, sys::Duration ramp)
    : per_ns_(per_second / 1e9), ramp_(ramp) {}

// While the rate rises, it is r·t/ramp, whose integral is r·t²/(2·ramp).
double RateCurve::arrivals_by(sys::Duration moment) const {
  if (moment >= ramp_) return per_ns_ * (ns(moment) - ns(ramp_) / 2);
  return per_ns_ * ns(moment) * ns(moment) / (2 * ns(ramp_));
}

sys::Duration RateCurve::moment_of(sys::Duration from, double arrivals) const {
  if (from >= ramp_) return later(from, arrivals / per_ns_);
  const double wanted = arrivals_by(from) + arrivals;
  const double in_ramp = per_ns_ * ns(ramp_) / 2;
  if (wanted >= in_ramp) return later(ramp_, (wanted - in_ramp) / per_ns_);
  return rounded(std::sqrt(2 * ns(ramp_) * wanted / per_ns_));
}

Schedule::Schedule(const RateCurve& curve, Arrivals arrivals, const SchedulePart& part,
                   unsigned workers, unsigned worker)
    : curve_(curve),
      arrivals_(arrivals),
      part_(part),
      workers_(workers),
      number_(worker),
      random_(part.seed) {
  set_due();
}

void Schedule::advance() {
  number_ += workers_;
  set_due();
}

void Schedule::set_due() {
  if (arrivals_ == Arrivals::poisson) {
    draw_up_to(number_);
    due_ = curve_.moment_of(part_.from, drawn_);
  } else {
    due_ = curve_.moment_of(part_.from, static_cast<double>(number_));
  }
}

/// Every worker draws the gaps of all, so that together they are one Poisson process.
void Schedule::draw_up_to(std::uint64_t number) {
  for (; draws_ <= number; ++draws_) drawn_ += exponential();
}

/// Of mean 1, by inversion from SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), which is the same
/// on every machine; the standard's distributions are not.
double Schedule::exponential() {
  random_ += 0x9E37'79B9'7F4A'7C15;
  std::uint64_t mixed = random_;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58'476D'1CE4'E5B9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D0'49BB'1331'11EB;
  mixed ^= mixed >> 31;
  const double uniform = static_cast<double>(mixed >> 11) * 0x1p-53;  // in [0, 1)
  return -std::log1p(-uniform);
}

std::uint64_t Schedule::skip_due_before(sys::Duration moment) {
  const sys::Duration end = std::min(moment, part_.until);
  const std::uint64_t before = number_;
  if (arrivals_ == Arrivals::constant && end > due_) {
    // A little less than the closed form says, since it is rounded; the loop does the rest.
    const double closed = curve_.arrivals_by(end) - curve_.arrivals_by(part_.from);
    const double safe = std::min(closed * (1 - 1e-12) - 4 - workers_, 9e18);
    const auto target = std::min(safe > 0 ? static_cast<std::uint64_t>(safe) : 0, part_.limit);
    if (target > number_) number_ += (target - number_) / workers_ * workers_;
    set_due();
  }
  while (!over() && due_ < end) advance();
  return (number_ - before) / workers_;
}

}  // namespace forkecho::client
