// Texts of many scripts, each with its uppercase as Python's str.upper() gives it: the judge of a
// server's Unicode mapping, which must not be our own. The texts are in unicode_pairs.cpp, which
// generate_unicode_pairs.py writes.
#pragma once

#include <span>
#include <string_view>

namespace forkecho::client {

struct UnicodePair {
  std::string_view text;  // whole UTF-8 characters
  std::string_view upper;
};

/// Constants; the mapping has no context, so pairs can be joined in any order.
std::span<const UnicodePair> unicode_pairs();

}  // namespace forkecho::client
