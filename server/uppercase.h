// What the server does to the bytes that it echoes. serve_connection and the event loop own one
// Uppercaser for each connection and feed it what they read, before they write it.
//
// `unicode` is Python's str.upper() over the whole stream (full case mapping, Unicode 15.0, no
// locale), however the stream is cut. Nothing can fail: bytes that are not well-formed UTF-8 pass
// unchanged, and the text resumes after the maximal subpart (The Unicode Standard, section 3.9), as
// in Python's decode("utf-8", "surrogateescape").upper().encode("utf-8", "surrogateescape").
//
// Runs in a freshly forked child: no heap, no locale, no static initialisation; ASCII text touches
// neither the table nor the scratch memory. An Uppercaser belongs to one stream and one thread; a
// fork copies it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace forkecho::server {

enum class Transform {
  unicode,  ///< str.upper() of UTF-8 text
  ascii,    ///< a-z to A-Z, every other byte as it is
  none      ///< RFC 862: every byte as it is
};

/// "unicode", "ascii" or "none"; empty on anything else.
std::optional<Transform> parse_transform(std::string_view text);
std::string_view to_string(Transform transform);

class Uppercaser {
 public:
  explicit Uppercaser(Transform transform) : transform_(transform) {}

  /// Bytes of scratch memory that feed() needs for a chunk of n bytes, and finish() for n = 0.
  /// A character grows at most threefold (U+0390 and U+03B0: two bytes to six), and the last bytes
  /// of the chunk before come on top.
  static constexpr std::size_t max_output(std::size_t n) { return max_growth * n + max_pending; }

  /// Uppercases the next chunk, and overwrites it. The result is either the beginning of `chunk`,
  /// mapped in place (always where the chunk is ASCII and begins with a new character), or lies in
  /// `scratch`; valid until either is written again. It is shorter than expected, or empty, when
  /// the chunk ends within a character: up to three bytes are kept for the next call. `scratch`
  /// holds at least max_output(chunk.size()) bytes for `unicode`; it may be empty for the other
  /// transforms, whose result is always the whole chunk.
  std::string_view feed(std::span<char> chunk, std::span<char> scratch);

  /// The end of the stream: what is left of a character that never ended, unchanged. Lies in
  /// `scratch`. The next feed() begins a new stream.
  std::string_view finish(std::span<char> scratch);

 private:
  static constexpr std::size_t max_growth = 3;
  static constexpr std::size_t max_pending = 3;

  std::string_view feed_unicode(std::span<char> chunk, std::span<char> scratch);
  std::string_view feed_after_pending(std::span<char> chunk, std::span<char> scratch);
  void keep_pending(std::span<const char> bytes);

  Transform transform_;
  unsigned char pending_size_ = 0;
  std::array<char, max_pending> pending_{};
};

}  // namespace forkecho::server
