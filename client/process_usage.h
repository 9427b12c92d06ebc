// What a tree of processes has used: processor time, context switches, memory. Read from /proc by
// compare, before, during and after a slice, for the server that it started.
//
// A process that ends between being listed and being read is skipped: its processor time is then in
// its parent's figure, once the parent has reaped it. Not a snapshot: while processes come and go a
// figure may miss one or hold it twice, so processor time is read while nothing is under way.
// Safe in any process; the text parsers are pure.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/sys/deadline.h"

namespace forkecho::client {

/// One line of /proc/PID/stat, as far as it is needed; times in clock ticks (sysconf _SC_CLK_TCK).
struct ProcessStat {
  pid_t pid = 0;
  pid_t parent = 0;
  std::uint64_t user_ticks = 0;    // its own and those of the children that it reaped
  std::uint64_t system_ticks = 0;  // likewise
};
/// Empty when the text is no such line. The name in it may hold blanks and parentheses.
std::optional<ProcessStat> parse_process_stat(std::string_view text);

/// The number after `key` ("Pss:", "voluntary_ctxt_switches:") at the start of a line.
std::optional<std::uint64_t> parse_proc_field(std::string_view text, std::string_view key);

/// `root` first, then those below it, level by level. Pure.
std::vector<ProcessStat> tree_of(pid_t root, const std::vector<ProcessStat>& all);

struct TreeUsage {
  double cpu_user_s = 0;
  double cpu_system_s = 0;
  std::vector<pid_t> pids;             // sorted
  std::uint64_t context_switches = 0;  // voluntary and not, of the living
};

/// The tree below and with `root`; empty when root is gone.
std::optional<TreeUsage> read_tree_usage(pid_t root);
/// The same, once two looks in a row have found the same processes: those of the last connections
/// have ended by then. At the deadline, the last look.
std::optional<TreeUsage> read_settled_tree_usage(pid_t root, sys::Deadline deadline);

struct TreeMemory {
  std::uint32_t processes = 0;
  std::optional<std::uint64_t> pss_bytes;  // empty when none could be read
};

/// How many of the processes are asked for their memory: reading one's mappings holds its lock.
inline constexpr std::size_t most_memory_reads = 64;

/// Counts the tree as it is at this moment, and sums its proportional set sizes. What could not be
/// read (more than most_memory_reads, or gone before its turn) counts as the mean of the others
/// below the root. When most were gone, it looks again, a few times.
TreeMemory read_tree_memory(pid_t root);

/// Which of `count` processes are read: the first, and others at even distances. Pure.
std::vector<std::size_t> spread_evenly(std::size_t count, std::size_t most);

/// The sum for `processes`, of which the root has `root_bytes` and some below it have
/// `below_bytes`; empty when the root's is missing, or all below it are. Pure.
std::optional<std::uint64_t> estimate_pss(std::size_t processes,
                                          std::optional<std::uint64_t> root_bytes,
                                          const std::vector<std::uint64_t>& below_bytes);

}  // namespace forkecho::client
