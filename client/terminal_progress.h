// TerminalProgress: one line for each second of a run, for a person who waits at a terminal.
#pragma once

#include <cstdio>
#include <string>

#include "client/progress.h"

namespace forkecho::client {

class TerminalProgress : public Progress {
 public:
  enum class Tell { everything, warnings };
  /// Writes to `output`, which stays open.
  explicit TerminalProgress(std::FILE* output, Tell tell = Tell::everything)
      : output_(output), tell_(tell) {}
  void second_passed(const TimelinePoint& point) override;
  void warn(const std::string& what) override;

 private:
  std::FILE* output_;
  Tell tell_;
  double before_s_ = 0;
};

/// "  3 s   12345/s   0 errors   p50 81.2 µs   p99 1.25 ms"; `length_s` is how long the point's
/// time was.
std::string progress_line(const TimelinePoint& point, double length_s);

}  // namespace forkecho::client
