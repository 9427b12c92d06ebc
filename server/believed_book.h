// BelievedBook: what the supervisor believes of a book that another process writes. A process gone
// wrong can write anything into its page; the totals must neither wrap nor jump for it.
//
// Each look compares what is claimed with what was believed before: counts only grow, no faster
// than a process could work, no more endings than connections, no more open than it may have. A
// book that is once out of these bounds is not believed any more; what was believed before stands.
// So a liar can be wrong about itself by what a process can do in the time, and about nothing else.
#pragma once

#include <cstdint>

#include "common/sys/deadline.h"
#include "server/book.h"

namespace forkecho::server {

/// More than a process can accept in a second, and move in a second, on any machine of today.
inline constexpr std::uint64_t most_connections_per_second = 10'000'000;
inline constexpr std::uint64_t most_bytes_per_second = 1'000'000'000'000;

/// Whether a book that read `before` may read `claimed` after `passed`, with at most `most_open`
/// connections open. Pure.
bool is_plausible(const BookTotals& before, const BookTotals& claimed, sys::Duration passed,
                  std::uint64_t most_open);

/// `bytes` as one connection is believed to have moved in `passed`: 0 when no process could.
std::uint64_t believable_bytes(std::uint64_t bytes, sys::Duration passed);

class BelievedBook {
 public:
  explicit BelievedBook(std::uint64_t most_open = 0) : most_open_(most_open) {}

  /// What is believed of `claimed`, now.
  const BookTotals& look(const BookTotals& claimed, sys::Clock::time_point now);
  /// It has claimed the impossible.
  bool is_broken() const { return broken_; }

 private:
  std::uint64_t most_open_;
  BookTotals believed_;
  sys::Clock::time_point last_look_ = sys::Clock::now();
  bool broken_ = false;
};

}  // namespace forkecho::server
