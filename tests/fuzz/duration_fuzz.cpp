// Durations as users write them, on command lines and in the configuration.
#include "common/sys/duration.h"
#include "tests/fuzz/target.h"

namespace forkecho::fuzz {

void fuzz(std::string_view input) {
  const auto duration = sys::parse_duration(input);
  if (!duration) return;
  require(*duration >= sys::Duration::zero(), "no duration is negative");
  require(sys::parse_duration(sys::format_duration(*duration)) == duration,
          "a duration is written so that it is read as the same");
}

}  // namespace forkecho::fuzz
