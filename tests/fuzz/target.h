// What every fuzz target has. A target is a file NAME_fuzz.cpp with fuzz(), which does something
// with foreign bytes and ends the program by require() where a promise is broken; it keeps nothing
// from one input to the next.
//
// It is built twice: by the preset `fuzz` with libFuzzer, which makes up inputs (`./dev fuzz`), and
// by the others with replay.cpp, which goes through corpus/NAME: the test fuzz/NAME. What libFuzzer
// finds is mended and becomes a file there, named for what it showed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace forkecho::fuzz {

/// The target. Not for threads.
void fuzz(std::string_view input);

/// Ends the program, and says which promise was broken, unless `kept`.
inline void require(bool kept, const char* promise) {
  if (kept) return;
  std::fprintf(stderr, "broken: %s\n", promise);
  std::abort();
}

/// Where to cut an input: a different place for each call, and the same for the same input.
class Cuts {
 public:
  explicit Cuts(std::string_view input) {
    for (const char byte : input) state_ = (state_ ^ static_cast<unsigned char>(byte)) * fnv_prime;
  }
  /// At most `limit`.
  std::size_t next(std::size_t limit) {
    // xorshift64 (Marsaglia, "Xorshift RNGs", 2003); it never leaves or reaches 0.
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % (limit + 1);
  }

 private:
  static constexpr std::uint64_t fnv_prime = 0x100000001b3;  // FNV-1a's
  std::uint64_t state_ = 0xcbf29ce484222325;
};

}  // namespace forkecho::fuzz
