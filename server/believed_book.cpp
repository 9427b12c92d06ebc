#include "server/believed_book.h"

#include <algorithm>
#include <chrono>

namespace forkecho::server {
namespace {

/// And a hundredth of a second's worth: one look may come right behind the other.
std::uint64_t most_in(sys::Duration passed, std::uint64_t per_second) {
  using namespace std::chrono_literals;
  const auto counted = std::clamp<sys::Duration>(passed, 0s, 24h) + 10ms;
  return static_cast<std::uint64_t>(counted / 1us) * (per_second / 1'000'000);
}

/// Calls visit(figure of `of`, figure of `with`) for all counts, bytes excluded.
template <typename Visit>
void for_each_count(BookTotals& of, const BookTotals& with, Visit visit) {
  visit(of.accepted, with.accepted);
  visit(of.served, with.served);
  for (std::size_t i = 0; i < of.refused.size(); ++i) visit(of.refused[i], with.refused[i]);
  for (std::size_t i = 0; i < of.timed_out.size(); ++i) visit(of.timed_out[i], with.timed_out[i]);
  visit(of.fork_failed, with.fork_failed);
  visit(of.crashed, with.crashed);
  visit(of.forked, with.forked);
  visit(of.reaped, with.reaped);
  for (std::size_t i = 0; i < of.fork_times.buckets.size(); ++i)
    visit(of.fork_times.buckets[i], with.fork_times.buckets[i]);
  visit(of.log_lost, with.log_lost);
  visit(of.access_log_lost, with.access_log_lost);
}

/// Modulo 2^64, as the counters count: right also where one was set back, or wraps.
BookTotals growth_of(BookTotals book, const BookTotals& since) {
  for_each_count(book, since, [](std::uint64_t& now, std::uint64_t then) { now -= then; });
  book.bytes_in -= since.bytes_in;
  book.bytes_out -= since.bytes_out;
  book.fork_times.sum_ns -= since.fork_times.sum_ns;
  return book;
}

}  // namespace

const BookTotals& BelievedBook::look(const BookTotals& claimed, sys::Clock::time_point now) {
  const BookTotals growth = growth_of(claimed, last_claimed_);
  const sys::Duration passed = now - last_look_;
  const bool counts = believe_counts(growth, passed);
  const bool bytes = believe_bytes(growth, passed);
  const bool times = believe_times(growth, passed);
  lies_ += !counts || !bytes || !times;
  last_claimed_ = claimed;
  last_look_ = now;
  return believed_;
}

bool BelievedBook::believe_counts(const BookTotals& growth, sys::Duration passed) {
  const std::uint64_t most = most_in(passed, most_connections_per_second) + most_open_;
  BookTotals next = believed_;
  bool possible = true;
  for_each_count(next, growth, [&](std::uint64_t& count, std::uint64_t by) {
    possible = possible && by <= most;
    count += by;
  });
  // No sum can wrap when each part is possible.
  possible = possible && next.ended() <= next.accepted &&
             next.accepted - next.ended() <= most_open_ && next.reaped <= next.forked &&
             next.forked - next.reaped <= most_open_;
  if (possible) believed_ = next;
  return possible;
}

bool BelievedBook::believe_bytes(const BookTotals& growth, sys::Duration passed) {
  const std::uint64_t most = most_in(passed, most_bytes_per_second);
  if (growth.bytes_in > most || growth.bytes_out > most) return false;
  believed_.bytes_in += growth.bytes_in;
  believed_.bytes_out += growth.bytes_out;
  return true;
}

/// No process has forked for longer than it has lived since.
bool BelievedBook::believe_times(const BookTotals& growth, sys::Duration passed) {
  using namespace std::chrono_literals;
  const sys::Duration most = std::clamp<sys::Duration>(passed, 0s, 24h * 365) + 10s;
  if (growth.fork_times.sum_ns > static_cast<std::uint64_t>(most.count())) return false;
  believed_.fork_times.sum_ns += growth.fork_times.sum_ns;
  return true;
}

}  // namespace forkecho::server
