#include "server/uppercase.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <utility>

#include "server/byte_block.h"
#include "server/uppercase_table.h"

namespace forkecho::server {
namespace {

constexpr std::array<std::pair<Transform, std::string_view>, 3> transform_names = {
    {{Transform::unicode, "unicode"}, {Transform::ascii, "ascii"}, {Transform::none, "none"}}};

using Byte = unsigned char;

/// The loops below look at every character: a call for each would cost more than the work.
#define FORKECHO_ALWAYS_INLINE [[gnu::always_inline]] inline

/// No character of UTF-8 has more bytes.
constexpr std::size_t longest = 4;

/// Where the work is: reads [in, end), writes at `out`. In place if `in` equals `out`, else the two
/// areas do not overlap, and `out` has room for three times what is left to read.
struct Cursor {
  const Byte* in;
  const Byte* end;
  Byte* out;

  std::size_t left() const { return static_cast<std::size_t>(end - in); }
};

/// What a lead byte turned out to begin.
struct Character {
  std::size_t length;  ///< bytes that are dealt with: of the character, or 1 if it stays as it is
  unsigned resized;    ///< not 0: nothing was written, its uppercase is resized[this]
};
constexpr Character unchanged = {1, 0};

enum class Lengths {
  kept,  ///< in place: stop at an uppercase of another length than its character
  free   ///< to other memory: go on
};

bool is_continuation(Byte byte) {
  return (byte & 0xC0) == 0x80;
}

Byte upper_ascii(Byte byte) {
  return static_cast<Byte>(byte >= 'a' && byte <= 'z' ? byte - ('a' - 'A') : byte);
}

// ---- One character. `in` is at a lead byte, `available` bytes may be read, out[0] holds the lead
// ---- byte already. What does not change is not written: the caller copies it byte by byte.

FORKECHO_ALWAYS_INLINE Character upper_of_two(const Byte* in, std::size_t available, Byte* out) {
  if (available < 2 || !is_continuation(in[1])) return unchanged;
  std::array<Byte, 2> to;
  std::memcpy(to.data(), uppercase_table::two_byte[(in[0] & 0x1F) << 6 | (in[1] & 0x3F)], 2);
  if (to[0] == 0) return {2, to[1]};
  std::memcpy(out, to.data(), 2);
  return {2, 0};
}

FORKECHO_ALWAYS_INLINE Character upper_of_three(const Byte* in, std::size_t available, Byte* out) {
  if (available < 3) return unchanged;
  const Byte block = uppercase_table::three_byte_blocks[(in[0] & 0x0F) << 6 | (in[1] & 0x3F)];
  if (block == 0 || !is_continuation(in[1]) || !is_continuation(in[2])) return unchanged;
  const unsigned target = uppercase_table::block_targets[block][in[2] & 0x3F];
  if (target == 0) return unchanged;
  if (target < uppercase_table::first_target) return {3, target};
  out[0] = static_cast<Byte>(0xE0 | target >> 12);
  out[1] = static_cast<Byte>(0x80 | (target >> 6 & 0x3F));
  out[2] = static_cast<Byte>(0x80 | (target & 0x3F));
  return {3, 0};
}

/// Among the characters of four bytes only plane 1 (F0 90 to F0 9F) has any with an uppercase.
FORKECHO_ALWAYS_INLINE Character upper_of_four(const Byte* in, std::size_t available, Byte* out) {
  if (available < 4 || in[0] != 0xF0 || (in[1] & 0xF0) != 0x90) return unchanged;
  if (!is_continuation(in[2]) || !is_continuation(in[3])) return unchanged;
  const Byte block = uppercase_table::four_byte_blocks[(in[1] & 0x0F) << 6 | (in[2] & 0x3F)];
  const unsigned target = uppercase_table::block_targets[block][in[3] & 0x3F];
  if (target == 0) return unchanged;
  out[1] = static_cast<Byte>(0x90 | target >> 12);
  out[2] = static_cast<Byte>(0x80 | (target >> 6 & 0x3F));
  out[3] = static_cast<Byte>(0x80 | (target & 0x3F));
  return {4, 0};
}

FORKECHO_ALWAYS_INLINE Character upper_of(const Byte* in, std::size_t available, Byte* out) {
  if (in[0] < 0xE0) return upper_of_two(in, available, out);
  if (in[0] < 0xF0) return upper_of_three(in, available, out);
  return upper_of_four(in, available, out);
}

// ---- Runs of text. Each returns false if it stopped at an uppercase of another length, which
// ---- happens with Lengths::kept only.

/// Steps over a character whose uppercase goes to `out` from the table.
void put_resized(Cursor& at, Character character) {
  const uppercase_table::Resized& to = uppercase_table::resized[character.resized];
  std::memcpy(at.out, to.bytes, to.length);
  at.in += character.length;
  at.out += to.length;
}

/// One block, and what of its last character lies behind it. Lead bytes are all that needs a look:
/// any other byte from 0x80 on is part of a character that one of them begins, or stays as it is.
/// ASCII that stands behind a stop is uppercase by then; uppercasing it again changes nothing.
template <class Block, Lengths lengths>
FORKECHO_ALWAYS_INLINE bool map_block(Cursor& at, std::size_t available) {
  const Block block = Block::load(at.in);
  block.upper().store(at.out);
  std::size_t left = Block::size;
  std::size_t done = 0;
  std::uint64_t leads =
      block.has_non_ascii() ? block.in_any(uppercase_table::cased_leads) : std::uint64_t{0};
  while (leads != 0) {
    const auto place = static_cast<std::size_t>(std::countr_zero(leads));
    const Character character = upper_of(at.in + place, available - place, at.out + place);
    if (character.resized == 0) {
      done = place + character.length;
      leads &= leads - 1;
      continue;
    }
    at.in += place;
    at.out += place;
    if constexpr (lengths == Lengths::kept) return false;
    put_resized(at, character);
    done = place + character.length;
    if (done >= left) return true;
    left -= done;
    available -= done;
    leads >>= done;
    done = 0;
    Block::load(at.in).upper().store(at.out);  // the rest of the block moves
  }
  done = std::max(done, left);
  at.in += done;
  at.out += done;
  return true;
}

/// The last bytes, fewer than a block.
template <Lengths lengths>
[[gnu::hot]] bool map_bytes(Cursor& at) {
  while (at.in < at.end) {
    const Byte byte = *at.in;
    *at.out = upper_ascii(byte);
    const Character character = byte < 0xC0 ? unchanged : upper_of(at.in, at.left(), at.out);
    if (character.resized == 0) {
      at.in += character.length;
      at.out += character.length;
    } else {
      if constexpr (lengths == Lengths::kept) return false;
      put_resized(at, character);
    }
  }
  return true;
}

/// As far as a short text is ASCII: word by word, whose constants are part of the instructions. The
/// vectors' are a page of the program more for a process that was just forked, and faulting that in
/// takes longer than all of the text.
[[gnu::hot]] void map_short_ascii(Cursor& at) {
  while (at.left() >= WordBlock::size) {
    const WordBlock word = WordBlock::load(at.in);
    if (word.has_non_ascii()) return;
    word.upper().store(at.out);
    at.in += WordBlock::size;
    at.out += WordBlock::size;
  }
}

template <Lengths lengths>
[[gnu::hot]] bool map_text(Cursor& at) {
  constexpr std::size_t short_text = 256;
  if (at.left() <= short_text) map_short_ascii(at);
  using Row = BlockRow<FastBlock>;
  // Where lengths change, a block is loaded again from its middle, and so looks one block ahead.
  constexpr std::size_t ahead = lengths == Lengths::free ? 2 : 1;
  // A character that begins in the row ends before `end`, so `available` is no limit in this loop.
  while (at.left() >= ahead * Row::size + longest) {
    if (!map_block<Row, lengths>(at, at.left())) return false;
  }
  while (at.left() >= ahead * FastBlock::size) {
    if (!map_block<FastBlock, lengths>(at, at.left())) return false;
  }
  return map_bytes<lengths>(at);
}

void map_ascii(std::span<char> chunk) {
  Byte* at = reinterpret_cast<Byte*>(chunk.data());
  Byte* const end = at + chunk.size();
  for (; end - at >= static_cast<std::ptrdiff_t>(FastBlock::size); at += FastBlock::size) {
    FastBlock::load(at).upper().store(at);
  }
  for (; at < end; ++at) *at = upper_ascii(*at);
}

// ---- Where a chunk cuts a character.

/// Bytes of the character that `lead` begins; 1 if it begins none.
[[gnu::hot]] std::size_t length_by_lead(Byte lead) {
  if (lead < 0xC2 || lead > 0xF4) return 1;
  if (lead < 0xE0) return 2;
  return lead < 0xF0 ? 3 : 4;
}

/// The Unicode Standard, table 3-7: some lead bytes narrow the range of the byte behind them
/// (overlong forms, surrogates, above U+10FFFF).
[[gnu::hot]] bool may_follow(Byte lead, Byte second) {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return is_continuation(second);
  }
}

/// Whether these bytes, at least one, are a character without its end.
[[gnu::hot]] bool is_incomplete(std::span<const Byte> bytes) {
  if (bytes.size() >= length_by_lead(bytes[0])) return false;
  if (bytes.size() >= 2 && !may_follow(bytes[0], bytes[1])) return false;
  return bytes.size() < 3 || is_continuation(bytes[2]);
}

/// How many bytes at the end of the text are a character without its end: 0 to 3.
[[gnu::hot]] std::size_t incomplete_end(std::span<const Byte> text) {
  for (std::size_t n = 1; n < longest && n <= text.size(); ++n) {
    const auto end = text.last(n);
    if (!is_continuation(end[0])) return is_incomplete(end) ? n : 0;
  }
  return 0;
}

std::span<const Byte> bytes_of(std::span<const char> text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

/// Uppercases whole characters to `out`; returns the bytes written.
std::size_t map_to(std::span<const char> text, char* out) {
  const auto bytes = bytes_of(text);
  Byte* const begin = reinterpret_cast<Byte*>(out);
  Cursor at = {bytes.data(), bytes.data() + bytes.size(), begin};
  map_text<Lengths::free>(at);
  return static_cast<std::size_t>(at.out - begin);
}

}  // namespace

std::optional<Transform> parse_transform(std::string_view text) {
  for (const auto& [transform, name] : transform_names) {
    if (name == text) return transform;
  }
  return std::nullopt;
}

std::string_view to_string(Transform transform) {
  for (const auto& [candidate, name] : transform_names) {
    if (candidate == transform) return name;
  }
  return "?";
}

[[gnu::hot]] std::string_view Uppercaser::feed(std::span<char> chunk, std::span<char> scratch) {
  switch (transform_) {
    case Transform::unicode:
      return feed_unicode(chunk, scratch);
    case Transform::ascii:
      map_ascii(chunk);
      break;
    case Transform::none:
      break;
  }
  return {chunk.data(), chunk.size()};
}

[[gnu::hot]] std::string_view Uppercaser::feed_unicode(std::span<char> chunk,
                                                       std::span<char> scratch) {
  assert(scratch.size() >= max_output(chunk.size()));
  if (pending_size_ != 0) return feed_after_pending(chunk, scratch);
  const std::size_t cut = incomplete_end(bytes_of(chunk));
  keep_pending(chunk.last(cut));
  const auto whole = chunk.first(chunk.size() - cut);

  Byte* const begin = reinterpret_cast<Byte*>(whole.data());
  Cursor at = {begin, begin + whole.size(), begin};
  if (map_text<Lengths::kept>(at)) return {whole.data(), whole.size()};
  const auto done = static_cast<std::size_t>(at.in - begin);
  std::memcpy(scratch.data(), begin, done);
  return {scratch.data(), done + map_to(whole.subspan(done), scratch.data() + done)};
}

/// The kept bytes go before the chunk. A character is put together from the two, byte by byte,
/// until it is whole or cannot become so; then the rest of the chunk stands for itself.
std::string_view Uppercaser::feed_after_pending(std::span<char> chunk, std::span<char> scratch) {
  std::array<char, longest> joined;
  std::size_t size = pending_size_;
  std::memcpy(joined.data(), pending_.data(), size);
  std::size_t taken = 0;
  while (is_incomplete(bytes_of({joined.data(), size}))) {
    if (taken == chunk.size()) {
      keep_pending({joined.data(), size});
      return {};
    }
    joined[size++] = chunk[taken++];
  }
  // The byte that came last may be the first of another character, and then belongs to the rest.
  if (!is_continuation(static_cast<Byte>(joined[size - 1]))) --size, --taken;
  std::size_t written = map_to({joined.data(), size}, scratch.data());

  const auto rest = chunk.subspan(taken);
  const std::size_t cut = incomplete_end(bytes_of(rest));
  keep_pending(rest.last(cut));
  written += map_to(rest.first(rest.size() - cut), scratch.data() + written);
  return {scratch.data(), written};
}

[[gnu::hot]] void Uppercaser::keep_pending(std::span<const char> bytes) {
  std::copy(bytes.begin(), bytes.end(), pending_.begin());
  pending_size_ = static_cast<unsigned char>(bytes.size());
}

[[gnu::hot]] std::string_view Uppercaser::finish(std::span<char> scratch) {
  std::copy_n(pending_.begin(), pending_size_, scratch.begin());
  return {scratch.data(), std::exchange(pending_size_, 0)};
}

}  // namespace forkecho::server
