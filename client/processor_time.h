// What the kernel says about the use of processors: how long a process waited for one, and how busy
// those are that it may run on. Used by a worker at both ends of its measured part.
//
// Safe in every process; nothing fails: what is not told is 0.
#pragma once

#include <sched.h>

#include <cstdint>
#include <string_view>

namespace forkecho::client {

/// Of several processors together, in ticks of the kernel since it started.
struct ProcessorUse {
  std::uint64_t busy = 0;
  std::uint64_t all = 0;
};

/// From the text of /proc/stat, of the processors in `allowed`. Time stolen by a hypervisor counts
/// as busy: nobody here can have it. Pure.
ProcessorUse read_processor_use(std::string_view proc_stat, const cpu_set_t& allowed);

/// Of the processors that the caller may run on.
ProcessorUse processor_use();

/// Nanoseconds that the caller's thread was ready to run and had no processor.
std::uint64_t time_waiting_for_processor_ns();

}  // namespace forkecho::client
