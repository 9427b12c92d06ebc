// BelievedBook: what the supervisor believes of a book that another process writes. A process gone
// wrong can write anything into its page; the totals must neither wrap nor jump for it.
//
// Each look takes what the book has grown by since the look before, and believes it if a process
// could have done so much in the time, and if the whole then has no more endings than connections
// and no more connections open, or children alive, than there may be. What is not believed adds
// nothing, and the next look compares with it: a book that was scribbled over once is right again
// from there on, but for what happened between two looks. So a liar is wrong about itself, within
// bounds, and about nobody else. The supervisor's own: not shared, not for threads.
#pragma once

#include <cstdint>

#include "common/sys/deadline.h"
#include "server/book.h"

namespace forkecho::server {

/// More than one process can take in, and move, on any machine of today.
inline constexpr std::uint64_t most_connections_per_second = 10'000'000;
inline constexpr std::uint64_t most_bytes_per_second = 1'000'000'000'000;
/// One connection, over its life: a petabyte. Above that a meter is not believed at all.
inline constexpr std::uint64_t most_bytes_per_connection = std::uint64_t{1} << 50;

constexpr std::uint64_t believable_bytes(std::uint64_t bytes) {
  return bytes <= most_bytes_per_connection ? bytes : 0;
}

class BelievedBook {
 public:
  /// At most `most_open` connections may be open in it at once, and so many children alive.
  explicit BelievedBook(std::uint64_t most_open = 0) : most_open_(most_open) {}

  /// What is believed now that the book reads `claimed`.
  const BookTotals& look(const BookTotals& claimed, sys::Clock::time_point now);
  /// How many looks found something that no process could have done.
  std::uint64_t lies() const { return lies_; }

 private:
  bool believe_counts(const BookTotals& growth, sys::Duration passed);
  bool believe_bytes(const BookTotals& growth, sys::Duration passed);
  bool believe_times(const BookTotals& growth, sys::Duration passed);

  std::uint64_t most_open_;
  BookTotals last_claimed_;
  BookTotals believed_;
  sys::Clock::time_point last_look_ = sys::Clock::now();
  std::uint64_t lies_ = 0;
};

}  // namespace forkecho::server
