// Progress: who wants to see a run while it goes on. Called by run_load in the process that called
// it.
#pragma once

#include "client/run_result.h"

namespace forkecho::client {

class Progress {
 public:
  virtual ~Progress() = default;
  /// About once a second, in the measured part, with what the last second brought.
  virtual void second_passed(const TimelinePoint& point) = 0;
  /// Something that the user should know at once; one line. Also in the result.
  virtual void warn(const std::string& /*what*/) {}
};

}  // namespace forkecho::client
