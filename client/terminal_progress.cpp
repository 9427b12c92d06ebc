#include "client/terminal_progress.h"

#include <fmt/format.h>

#include <utility>

#include "client/summary.h"

namespace forkecho::client {

std::string progress_line(const TimelinePoint& point, double length_s) {
  const double rate = length_s > 0 ? static_cast<double>(point.completed) / length_s : 0;
  const auto time = [&](std::uint64_t ns) {
    return point.completed == 0 ? std::string("-") : readable_time(ns);
  };
  return fmt::format("{:4.0f} s {:>9.0f}/s  {:>4} errors  p50 {:>8}  p99 {:>8}", point.t_s, rate,
                     point.errors, time(point.p50_ns), time(point.p99_ns));
}

void TerminalProgress::second_passed(const TimelinePoint& point) {
  if (tell_ == Tell::warnings) return;
  const double length_s = point.t_s - std::exchange(before_s_, point.t_s);
  std::fputs((progress_line(point, length_s) + '\n').c_str(), output_);
  std::fflush(output_);
}

void TerminalProgress::warn(const std::string& what) {
  std::fputs(("forkecho: warning: " + what + '\n').c_str(), output_);
  std::fflush(output_);
}

}  // namespace forkecho::client
