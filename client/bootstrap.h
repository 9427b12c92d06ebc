// How sure a figure is: confidence intervals by the bootstrap, and what may be said of a ratio.
// Used by compare, for rounds that were measured and for runs that were saved.
//
// Decided 2026-11 (which interval): the percentile bootstrap is too narrow for few values, so its
// ends are taken further out, by Hesterberg's expansion ("What Teachers Should Know about the
// Bootstrap", 2015, section 3.3: the level of a normal quantile that is Student's t times
// sqrt(n / (n - 1))). No resample goes beyond the values themselves, so with n of them a median can
// be told from another at a level of 1 - 2^(1 - n) at best: with fewer than that needs, nothing is
// said. The intervals are the same for the same values: the resamples are drawn with a fixed seed.
//
// Pure functions; safe everywhere.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace forkecho::client {

/// Of every interval that this program prints.
inline constexpr double confidence = 0.99;

struct Interval {
  double low = 0;
  double high = 0;
};

/// How many values an interval of that level needs; 8 for 0.99.
std::size_t fewest_values(double level);

/// Of the median of `values`, which were measured independently. Empty for too few of them.
std::optional<Interval> interval_of_median(std::span<const double> values,
                                           double level = confidence);

/// Of any figure of `count` independent parts: `figure` is called with parts drawn at random, as
/// many as there are, each by its place. `resamples` times.
std::optional<Interval> interval_of(
    std::size_t count, const std::function<double(std::span<const std::size_t>)>& figure,
    double level = confidence, std::size_t resamples = 4000);

/// Where the ends are in `sorted` resampled figures of `count` values; for tests and for those who
/// resample themselves. `sorted` is not empty.
Interval expanded_ends(std::span<const double> sorted, std::size_t count, double level);

/// What a ratio's interval says: of figures that are `more` when the ratio is above 1.
enum class Difference { none, more, less, unknown };
Difference difference_of(const std::optional<Interval>& ratio);
/// "no difference", "more", "less", "too few to say".
std::string_view to_string(Difference difference);

/// Student's t: the value that it does not exceed with this probability (above 0.5, below 1).
double student_quantile(double probability, std::size_t degrees_of_freedom);

}  // namespace forkecho::client
