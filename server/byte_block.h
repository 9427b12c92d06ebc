// Blocks of bytes that are uppercased in one step, as far as they are ASCII: 8 bytes in any
// machine's integer register (WordBlock), 16 in a vector register of x86-64 (VectorBlock), and
// several of one kind together (BlockRow). uppercase.cpp is written once, over any of them.
//
// All functions are pure, but for load and store, which touch exactly `size` bytes and need no
// alignment. They cannot fail.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace forkecho::server {

/// From first to last, both included, at most 127 apart.
struct ByteRange {
  unsigned char first;
  unsigned char last;
};

/// Eight bytes in an integer; the byte at the lowest address is the least significant.
class WordBlock {
 public:
  static constexpr std::size_t size = 8;

  static WordBlock load(const unsigned char* from) {
    std::uint64_t word;
    std::memcpy(&word, from, size);
    return WordBlock(in_order(word));
  }
  void store(unsigned char* to) const {
    const std::uint64_t word = in_order(word_);
    std::memcpy(to, &word, size);
  }

  /// a-z become A-Z, every other byte stays.
  WordBlock upper() const {
    const std::uint64_t low_bits = word_ & ~top_bits;
    // No sum carries into the next byte: both addends are below 0x80.
    const std::uint64_t from_a = low_bits + every_byte(0x80 - 'a');
    const std::uint64_t above_z = low_bits + every_byte(0x7F - 'z');
    const std::uint64_t is_lower = from_a & ~above_z & ~word_ & top_bits;
    return WordBlock(word_ ^ (is_lower >> 2));  // 0x80 >> 2 is the bit that tells a from A
  }
  bool has_non_ascii() const { return (word_ & top_bits) != 0; }
  /// Bit i is set if byte i lies in one of the ranges, all of them above 0x80.
  template <std::size_t n>
  std::uint64_t in_any(const ByteRange (&ranges)[n]) const {
    const std::uint64_t low_bits = word_ & ~top_bits;
    std::uint64_t found = 0;
    for (const ByteRange& range : ranges) {
      const std::uint64_t from_first = low_bits + every_byte(0x100U - range.first);
      const std::uint64_t above_last = low_bits + every_byte(0xFFU - range.last);
      found |= from_first & ~above_last;
    }
    return ((found & word_ & top_bits) >> 7) * 0x0102040810204080 >> 56;  // bit 8i to bit 56+i
  }
  WordBlock operator|(WordBlock other) const { return WordBlock(word_ | other.word_); }

 private:
  static constexpr std::uint64_t every_byte(std::uint64_t byte) {
    return byte * 0x0101010101010101;
  }
  static constexpr std::uint64_t top_bits = 0x8080808080808080;

  static std::uint64_t in_order(std::uint64_t word) {
    if constexpr (std::endian::native == std::endian::big) return __builtin_bswap64(word);
    return word;
  }
  explicit WordBlock(std::uint64_t word) : word_(word) {}

  std::uint64_t word_;
};

#if defined(__SSE2__)
/// Sixteen bytes in a vector register. The same functions as WordBlock.
class VectorBlock {
 public:
  static constexpr std::size_t size = 16;

  static VectorBlock load(const unsigned char* from) {
    return VectorBlock(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  void store(unsigned char* to) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes_); }

  VectorBlock upper() const {
    return VectorBlock(_mm_sub_epi8(
        bytes_, _mm_and_si128(in_range(bytes_, {'a', 'z'}), _mm_set1_epi8('a' - 'A'))));
  }
  bool has_non_ascii() const { return _mm_movemask_epi8(bytes_) != 0; }
  template <std::size_t n>
  std::uint64_t in_any(const ByteRange (&ranges)[n]) const {
    __m128i found = _mm_setzero_si128();
#pragma GCC unroll 8
    for (const ByteRange& range : ranges) found = _mm_or_si128(found, in_range(bytes_, range));
    return static_cast<std::uint64_t>(_mm_movemask_epi8(found));
  }
  VectorBlock operator|(VectorBlock other) const {
    return VectorBlock(_mm_or_si128(bytes_, other.bytes_));
  }

 private:
  /// Comparisons are signed: the range is moved to the top, so that one of them is enough.
  static __m128i in_range(__m128i bytes, ByteRange range) {
    const __m128i moved = _mm_add_epi8(bytes, _mm_set1_epi8(static_cast<char>(0x7F - range.last)));
    const int below_range = 0x7F - (range.last - range.first) - 1;
    return _mm_cmpgt_epi8(moved, _mm_set1_epi8(static_cast<char>(below_range)));
  }
  explicit VectorBlock(__m128i bytes) : bytes_(bytes) {}

  __m128i bytes_;
};
using FastBlock = VectorBlock;
#else
using FastBlock = WordBlock;
#endif

/// 64 bytes, as a row of smaller blocks: as many as in_any() has bits.
template <class Block>
class BlockRow {
 public:
  static constexpr std::size_t size = 64;

  static BlockRow load(const unsigned char* from) {
    return load(from, std::make_index_sequence<count>());
  }
  void store(unsigned char* to) const {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < count; ++i) blocks_[i].store(to + i * Block::size);
  }

  BlockRow upper() const {
    BlockRow result = *this;
#pragma GCC unroll 8
    for (Block& block : result.blocks_) block = block.upper();
    return result;
  }
  bool has_non_ascii() const {
    Block all = blocks_[0];
#pragma GCC unroll 8
    for (std::size_t i = 1; i < count; ++i) all = all | blocks_[i];
    return all.has_non_ascii();
  }
  template <std::size_t n>
  std::uint64_t in_any(const ByteRange (&ranges)[n]) const {
    std::uint64_t marks = 0;
#pragma GCC unroll 8
    for (std::size_t i = 0; i < count; ++i) marks |= blocks_[i].in_any(ranges) << (i * Block::size);
    return marks;
  }

 private:
  static constexpr std::size_t count = size / Block::size;

  template <std::size_t... index>
  static BlockRow load(const unsigned char* from, std::index_sequence<index...>) {
    return BlockRow({Block::load(from + index * Block::size)...});
  }
  explicit BlockRow(const std::array<Block, count>& blocks) : blocks_(blocks) {}

  std::array<Block, count> blocks_;
};

}  // namespace forkecho::server
