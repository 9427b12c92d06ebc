// A word in shared memory that processes sleep on (futex(2)): the one place that makes that call.
//
// Safe between processes and threads; wake_word is async-signal-safe. The word must lie in memory
// that is shared by all who use it.
#pragma once

#include <atomic>
#include <climits>
#include <cstdint>

#include "common/sys/deadline.h"

namespace forkecho::mp {

using Word = std::atomic<std::uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 4);

/// The longest that a sleeper goes without looking for itself. A process that is killed after it
/// changed a word and before it woke the sleepers loses their wake-up; they then oversleep by this
/// much, and no more.
inline constexpr sys::Duration longest_sleep = std::chrono::milliseconds(50);

/// Sleeps while `word` is `seen`: until woken, a signal, `deadline`, or longest_sleep from now,
/// whatever is first. The caller looks at its condition again and decides.
void sleep_on_word(const Word& word, std::uint32_t seen, sys::Deadline deadline);

/// Wakes up to `count` sleepers; how many it woke.
int wake_word(const Word& word, int count = INT_MAX);

}  // namespace forkecho::mp
