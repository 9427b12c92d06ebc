// ThreadId: a name for a thread of any process of the family that is never given to another, and
// with which anybody can ask whether the thread lives. Unlike a process id it cannot be mistaken
// for a later one's, and the answer is the kernel's.
//
// A thread's name is the row that it took in one table for all processes, held through a
// RobustMutex until the thread ends, and the number of times that the row was taken. Nothing is
// ever released by the thread itself, so that no object that comes and goes can leave a trace in
// the kernel's list of what the thread holds.
//
// The table is made by the first call in a process and shared with the children that it forks
// afterwards: whatever keeps ThreadIds in shared memory calls prepare_thread_ids when it is made.
// Safe between processes and threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace forkecho::mp {

enum class ThreadId : std::uint64_t { none = 0 };

/// So many threads, over all processes of a family, can have a name at the same time.
inline constexpr std::size_t most_named_threads = std::size_t{1} << 17;

/// Makes the table, unless the process has it already. Throws std::system_error (ENOMEM).
void prepare_thread_ids();

/// The calling thread's name, never none; the same until it ends. A forked child has another than
/// its parent. Throws std::length_error when most_named_threads live.
ThreadId this_thread_id();

/// Whether the thread lives: false from the moment at which the kernel has ended it. False for
/// none.
bool is_alive(ThreadId thread);

}  // namespace forkecho::mp
