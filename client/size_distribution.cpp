#include "client/size_distribution.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <random>
#include <utility>

namespace forkecho::client {
namespace {

constexpr std::size_t letters = 26;  // neighbours in a set begin with different ones
constexpr std::size_t bytes_wanted = std::size_t{64} << 20;  // of a whole set
constexpr std::size_t most_bytes = std::size_t{1} << 30;
constexpr std::size_t most_weights = 10'000;
constexpr std::size_t most_lengths = 1024;  // of evenly distributed ones

std::optional<std::size_t> number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::size_t> length(std::string_view text) {
  const auto value = number(text);
  return value && *value >= 1 && *value <= largest_request ? value : std::nullopt;
}

/// "a:b" as {"a", "b"}; empty without a ':'.
std::optional<std::pair<std::string_view, std::string_view>> halves(std::string_view text,
                                                                    char separator) {
  const std::size_t at = text.find(separator);
  if (at == text.npos) return std::nullopt;
  return std::pair(text.substr(0, at), text.substr(at + 1));
}

// mt19937's numbers are fixed by the standard; std::shuffle's use of them is not.
void shuffle(std::vector<std::size_t>& sizes) {
  std::mt19937 random;
  for (std::size_t i = sizes.size(); i > 1; --i) std::swap(sizes[i - 1], sizes[random() % i]);
}

}  // namespace

std::optional<SizeDistribution> SizeDistribution::parse(std::string_view text) {
  SizeDistribution sizes;
  sizes.parts_.clear();
  if (const auto range = halves(text, '-')) {
    const auto shortest = length(range->first);
    const auto longest = length(range->second);
    if (!shortest || !longest || *shortest > *longest) return std::nullopt;
    sizes.parts_.push_back({*shortest, *longest, 1});
    return sizes;
  }
  if (const auto single = length(text)) return SizeDistribution(*single);
  std::size_t common = 0;
  for (std::string_view rest = text;;) {
    const auto more = halves(rest, ',');
    const auto part = halves(more ? more->first : rest, ':');
    const auto size = part ? length(part->first) : std::nullopt;
    const auto weight = part ? number(part->second) : std::nullopt;
    if (!size || !weight || *weight == 0) return std::nullopt;
    sizes.parts_.push_back({*size, *size, *weight});
    common = std::gcd(common, *weight);
    if (!more) break;
    rest = more->second;
  }
  for (Part& part : sizes.parts_) part.weight /= common;
  return sizes.is_sane() ? std::optional(sizes) : std::nullopt;
}

bool SizeDistribution::is_sane() const {
  std::size_t weights = 0;
  std::size_t bytes = 0;
  for (const Part& part : parts_) {
    if (part.weight > most_weights) return false;
    weights += part.weight;
    bytes += part.weight * part.longest;
    if (weights > most_weights || bytes > most_bytes) return false;
  }
  return true;
}

std::string SizeDistribution::to_string() const {
  const Part& first = parts_.front();
  if (const auto size = fixed()) return std::to_string(*size);
  if (first.shortest != first.longest)
    return std::to_string(first.shortest) + '-' + std::to_string(first.longest);
  std::string text;
  for (const Part& part : parts_) {
    text += (text.empty() ? "" : ",") + std::to_string(part.longest) + ':' +
            std::to_string(part.weight);
  }
  return text;
}

std::optional<std::size_t> SizeDistribution::fixed() const {
  const std::size_t size = parts_.front().shortest;
  const bool alike = std::all_of(parts_.begin(), parts_.end(), [&](const Part& part) {
    return part.shortest == size && part.longest == size;
  });
  return alike ? std::optional(size) : std::nullopt;
}

double SizeDistribution::mean() const {
  double sum = 0;
  double weights = 0;
  for (const Part& part : parts_) {
    const auto weight = static_cast<double>(part.weight);
    sum += weight * static_cast<double>(part.shortest + part.longest) / 2;
    weights += weight;
  }
  return sum / weights;
}

std::vector<std::size_t> SizeDistribution::draw() const {
  if (const auto size = fixed())
    return std::vector(std::clamp<std::size_t>(bytes_wanted / *size, 2, letters), *size);
  auto sizes = parts_.size() == 1 ? draw_evenly() : draw_weighted();
  shuffle(sizes);
  return sizes;
}

std::vector<std::size_t> SizeDistribution::draw_evenly() const {
  const std::size_t shortest = parts_.front().shortest;
  const std::size_t spread = parts_.front().longest - shortest;
  const auto affordable = static_cast<std::size_t>(static_cast<double>(bytes_wanted) / mean());
  std::size_t count = std::clamp<std::size_t>(affordable, 2, most_lengths);
  if (spread < count) count = (spread + 1) * ((letters + spread) / (spread + 1));
  std::vector<std::size_t> sizes(count);
  for (std::size_t i = 0; i < count; ++i) {
    sizes[i] = shortest + (spread < count ? i % (spread + 1) : spread * i / (count - 1));
  }
  return sizes;
}

std::vector<std::size_t> SizeDistribution::draw_weighted() const {
  std::vector<std::size_t> sizes;
  for (const Part& part : parts_) sizes.insert(sizes.end(), part.weight, part.longest);
  const auto once = sizes;
  while (sizes.size() < letters) sizes.insert(sizes.end(), once.begin(), once.end());
  return sizes;
}

}  // namespace forkecho::client
