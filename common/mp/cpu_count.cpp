#include "common/mp/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <thread>

namespace forkecho::mp {

unsigned cpu_count() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    return static_cast<unsigned>(CPU_COUNT(&allowed));
  // More than 1,024 of them, which the set has no room for.
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace forkecho::mp
