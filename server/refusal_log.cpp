#include "server/refusal_log.h"

#include <numeric>
#include <string_view>

namespace forkecho::server {
namespace {

constexpr std::array<std::string_view, 4> reasons{"full", "per_source", "rate", "draining"};

std::string with_commas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

std::uint64_t sum_of(const RefusedCounts& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

/// Figures of processes gone wrong may fall.
RefusedCounts difference(const RefusedCounts& now, const RefusedCounts& before) {
  RefusedCounts result{};
  for (std::size_t i = 0; i < now.size(); ++i)
    result[i] = now[i] > before[i] ? now[i] - before[i] : 0;
  return result;
}

}  // namespace

std::optional<std::string> RefusalLog::note(sys::Clock::time_point now,
                                            const RefusedCounts& refused,
                                            const std::function<Source()>& most) {
  const RefusedCounts untold = difference(refused, told_);
  if (!since_) {
    if (sum_of(untold) != 0) since_ = now;
    return std::nullopt;
  }
  if (now - *since_ < interval) return std::nullopt;
  const bool is_first = first_;
  first_ = sum_of(untold) == 0;
  told_ = refused;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - *since_).count();
  since_ = sum_of(untold) == 0 ? std::nullopt : std::optional(now);
  // The very first has its own line already.
  if (sum_of(untold) < (is_first ? 2U : 1U)) return std::nullopt;
  return refusal_summary(untold, seconds, most());
}

std::string refusal_summary(const RefusedCounts& refused, std::int64_t seconds, Source most) {
  const std::uint64_t sum = sum_of(refused);
  std::string text = "refused " + with_commas(sum) + (sum == 1 ? " connection" : " connections") +
                     " in the last " + std::to_string(seconds) + " s:";
  std::string_view separator = " ";
  for (std::size_t i = 0; i < refused.size(); ++i) {
    if (refused[i] == 0) continue;
    text.append(separator).append(reasons[i]).append(" ").append(with_commas(refused[i]));
    separator = ", ";
  }
  const std::string source = source_text(most);
  return source.empty() ? text : text + " (most from " + source + ")";
}

}  // namespace forkecho::server
