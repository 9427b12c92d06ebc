#include "server/believed_book.h"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <utility>

namespace forkecho::server {
namespace {

using Figures = std::initializer_list<std::pair<std::uint64_t, std::uint64_t>>;

/// At least a second's worth: a look may come right behind the one before.
std::uint64_t most_in(sys::Duration passed, std::uint64_t per_second) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(passed).count() + 1;
  constexpr std::int64_t a_day = 86'400;  // and no overflow
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(seconds, 1, a_day)) * per_second;
}

bool grew_by_at_most(std::uint64_t most, Figures figures) {
  return std::all_of(figures.begin(), figures.end(), [most](const auto& figure) {
    return figure.second >= figure.first && figure.second - figure.first <= most;
  });
}

template <typename Counts>
bool each_grew_by_at_most(std::uint64_t most, const Counts& before, const Counts& after) {
  return std::equal(before.begin(), before.end(), after.begin(), [most](auto b, auto a) {
    return grew_by_at_most(most, {{b, a}});
  });
}

}  // namespace

bool is_plausible(const BookTotals& before, const BookTotals& claimed, sys::Duration passed,
                  std::uint64_t most_open) {
  // No more of anything than connections, of which there were before.active() open already.
  const std::uint64_t most = most_in(passed, most_connections_per_second) + most_open;
  const bool counts = grew_by_at_most(most, {{before.accepted, claimed.accepted},
                                             {before.served, claimed.served},
                                             {before.fork_failed, claimed.fork_failed},
                                             {before.crashed, claimed.crashed},
                                             {before.forked, claimed.forked},
                                             {before.reaped, claimed.reaped}}) &&
                      each_grew_by_at_most(most, before.refused, claimed.refused) &&
                      each_grew_by_at_most(most, before.timed_out, claimed.timed_out);
  const bool bytes =
      grew_by_at_most(most_in(passed, most_bytes_per_second),
                      {{before.bytes_in, claimed.bytes_in}, {before.bytes_out, claimed.bytes_out}});
  // The sums cannot wrap now.
  return counts && bytes && claimed.ended() <= claimed.accepted &&
         claimed.accepted - claimed.ended() <= most_open && claimed.reaped <= claimed.forked &&
         claimed.forked <= claimed.accepted;
}

std::uint64_t believable_bytes(std::uint64_t bytes, sys::Duration passed) {
  return bytes <= most_in(passed, most_bytes_per_second) ? bytes : 0;
}

const BookTotals& BelievedBook::look(const BookTotals& claimed, sys::Clock::time_point now) {
  if (broken_) return believed_;
  if (!is_plausible(believed_, claimed, now - last_look_, most_open_)) {
    broken_ = true;
    return believed_;
  }
  believed_ = claimed;
  last_look_ = now;
  return believed_;
}

}  // namespace forkecho::server
