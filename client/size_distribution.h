// SizeDistribution: how long the requests of a run are: all alike (`64`), evenly anything between
// two lengths (`64-4096`), or several with weights (`64:9,4096:1`). Read by the command line, used
// where the requests are made. Pure; a value type.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace forkecho::client {

/// Requests longer than this are refused: two of them, and their replies, are held.
inline constexpr std::size_t largest_request = std::size_t{256} << 20;

class SizeDistribution {
 public:
  /// `size` bytes, all of them; 1 to largest_request.
  SizeDistribution(std::size_t size = 64) : parts_{{size, size, 1}} {}  // NOLINT: a size is one

  /// Empty for what is none of the three forms, for a length outside 1 to largest_request, for
  /// weights that are 0 or whose sum (divided by what they have in common) is above 10,000, and for
  /// requests that need more than 1 GiB together.
  static std::optional<SizeDistribution> parse(std::string_view text);
  /// The form that parse reads.
  std::string to_string() const;

  /// Set when all have the same length.
  std::optional<std::size_t> fixed() const;
  double mean() const;
  /// The lengths of a set of requests that are sent one after the other, again and again: at least
  /// two; weights hold exactly over the set, and evenly means that the lengths of the set stand at
  /// equal distances. Always the same ones, in an order that looks random.
  std::vector<std::size_t> draw() const;

 private:
  struct Part {
    std::size_t shortest;
    std::size_t longest;  // the same, but for evenly distributed lengths
    std::size_t weight;
  };
  std::vector<std::size_t> draw_evenly() const;
  std::vector<std::size_t> draw_weighted() const;
  bool is_sane() const;

  std::vector<Part> parts_;
};

}  // namespace forkecho::client
