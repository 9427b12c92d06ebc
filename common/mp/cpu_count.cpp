#include "common/mp/cpu_count.h"

#include <algorithm>
#include <thread>

namespace forkecho::mp {

unsigned cpu_count() {
  // glibc asks sched_getaffinity, with a set that is large enough on any machine.
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace forkecho::mp
