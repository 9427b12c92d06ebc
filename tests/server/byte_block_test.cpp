#include "server/byte_block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace forkecho::server {
namespace {

constexpr unsigned char neighbours[] = {0x00, 'a', 'z', 0x7F, 0x80, 0xC2, 0xFF};
constexpr ByteRange ranges[] = {{0xC2, 0xD6}, {0xE1, 0xE1}, {0xF0, 0xFF}};

bool in_ranges(unsigned byte) {
  return (byte >= 0xC2 && byte <= 0xD6) || byte == 0xE1 || byte >= 0xF0;
}

template <class Block>
class ByteBlock : public testing::Test {
 protected:
  using Bytes = std::array<unsigned char, Block::size>;

  /// Calls with every byte at every place, among neighbours of every kind.
  template <class Check>
  void for_each_block(Check check) {
    for (const unsigned char neighbour : neighbours) {
      for (std::size_t place = 0; place < Block::size; ++place) {
        for (unsigned byte = 0; byte < 256; ++byte) {
          Bytes bytes;
          bytes.fill(neighbour);
          bytes[place] = static_cast<unsigned char>(byte);
          check(bytes);
        }
      }
    }
  }
};

#if defined(__SSE2__)
using Blocks = testing::Types<WordBlock, BlockRow<WordBlock>, VectorBlock, BlockRow<VectorBlock>>;
#else
using Blocks = testing::Types<WordBlock, BlockRow<WordBlock>>;
#endif
TYPED_TEST_SUITE(ByteBlock, Blocks);

TYPED_TEST(ByteBlock, UppercasesAsciiLettersOnly) {
  this->for_each_block([](const auto& bytes) {
    auto expected = bytes;
    for (auto& byte : expected) {
      if (byte >= 'a' && byte <= 'z') byte = static_cast<unsigned char>(byte - 32);
    }
    auto result = bytes;
    TypeParam::load(bytes.data()).upper().store(result.data());
    ASSERT_EQ(result, expected);
  });
}

TYPED_TEST(ByteBlock, KnowsAscii) {
  this->for_each_block([](const auto& bytes) {
    const bool expected = std::any_of(bytes.begin(), bytes.end(), [](auto b) { return b > 0x7F; });
    ASSERT_EQ(TypeParam::load(bytes.data()).has_non_ascii(), expected);
  });
}

TYPED_TEST(ByteBlock, MarksBytesInRanges) {
  this->for_each_block([](const auto& bytes) {
    std::uint64_t expected = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      expected |= std::uint64_t{in_ranges(bytes[i])} << i;
    }
    ASSERT_EQ(TypeParam::load(bytes.data()).in_any(ranges), expected);
  });
}

}  // namespace
}  // namespace forkecho::server
