// cpu_count: how many processes can run at the same time, for who decides how many to start.
#pragma once

namespace forkecho::mp {

/// The processors that the calling process may run on (sched_getaffinity), at least 1. A
/// container's share of their time (the cgroup's quota) is not considered.
unsigned cpu_count();

}  // namespace forkecho::mp
