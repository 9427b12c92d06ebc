#include "client/hdr_encoding.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>

#include "client/base64.h"

namespace forkecho::client {
namespace {

/// base64 of cookie, length and the compressed `plain`.
std::string pack(const std::string& plain, std::uint32_t cookie = 0x1c849314) {
  uLongf size = compressBound(plain.size());
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(plain.data()), plain.size());
  packed.resize(size);
  std::string bytes;
  for (const std::uint64_t number : {std::uint64_t{cookie}, std::uint64_t{size}}) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xFF);
  }
  return encode_base64(bytes + packed);
}

std::string plain_of(const std::string& base64) {
  const std::string packed = decode_base64(base64).value().substr(8);
  std::string plain(1 << 20, '\0');
  uLongf size = plain.size();
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(plain.data()), &size,
                       reinterpret_cast<const Bytef*>(packed.data()), packed.size()),
            Z_OK);
  plain.resize(size);
  return plain;
}

TEST(EncodeHdr, HasTheBytesOfTheFormat) {
  // 1 in bucket 0, 3 in bucket 2, 300 in bucket 10.
  const HdrHistogram histogram{.layout = {.digits = 2, .lowest = 1, .highest = 1000},
                               .buckets = {{0, 1}, {2, 3}, {10, 300}}};
  const std::string text = encode_hdr(histogram);
  EXPECT_EQ(text.substr(0, 8), "HISTFAAA");
  const char expected[] =
      "\x1c\x84\x93\x13\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x02"
      "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03\xe8"
      "\x3f\xf0\x00\x00\x00\x00\x00\x00"
      "\x02\x00\x06\x0d\xd8\x04";
  EXPECT_EQ(plain_of(text), std::string(expected, sizeof expected - 1));
}

TEST(DecodeHdr, ReadsWhatWasWritten) {
  std::mt19937_64 random(7);
  HdrHistogram histogram;
  for (std::size_t index = 0; index < LatencyHistogram::buckets; index += 1 + random() % 300) {
    histogram.buckets.push_back({index, 1 + (random() >> (8 + random() % 56))});
  }
  histogram.buckets.back().count = std::uint64_t{1} << 61;  // nine bytes
  const DecodedHdr decoded = decode_hdr(encode_hdr(histogram));
  ASSERT_TRUE(decoded.histogram) << decoded.error;
  EXPECT_EQ(*decoded.histogram, histogram);
  EXPECT_EQ(decode_hdr(encode_hdr({})).histogram, HdrHistogram{});
}

TEST(DecodeHdr, SaysWhatIsWrong) {
  const std::string good = plain_of(encode_hdr({.layout = {}, .buckets = {{3, 4}}}));
  ASSERT_TRUE(decode_hdr(pack(good)).histogram);
  const auto error_of = [](const std::string& text) {
    const DecodedHdr decoded = decode_hdr(text);
    EXPECT_FALSE(decoded.histogram);
    return decoded.error;
  };
  const auto changed = [&](std::size_t at, char to) {
    std::string plain = good;
    plain[at] = to;
    return pack(plain);
  };
  EXPECT_EQ(error_of("x"), "it is no base64");
  EXPECT_EQ(error_of(""), "it is cut short");
  EXPECT_EQ(error_of("HISTFAAA"), "it is cut short");
  EXPECT_EQ(error_of(pack(good, 0x1c849304)), "it is no compressed V2 histogram");
  EXPECT_EQ(error_of(encode_base64(std::string("\x1c\x84\x93\x14\0\0\0\x04wxyz", 12))),
            "zlib cannot decompress it");
  EXPECT_EQ(error_of(pack(good.substr(0, 39))), "it is cut short");
  EXPECT_EQ(error_of(pack(good.substr(0, 41))), "it is cut short");
  EXPECT_EQ(error_of(changed(3, 0x03)), "it is no V2 histogram");
  EXPECT_EQ(error_of(changed(11, 1)), "its counts are shifted");
  EXPECT_EQ(error_of(changed(15, 9)), "no histogram has its digits and bounds");
  EXPECT_EQ(error_of(changed(33, 1)), "its values are not whole numbers");
  EXPECT_EQ(error_of(pack(good.substr(0, 7) + "\x04" + good.substr(8, 32) + "\xff\xff\xff\x7f")),
            "it has more counts than buckets");
  const std::string largest = "\xfe\xff\xff\xff\xff\xff\xff\xff\xff";  // 2^63 - 1
  EXPECT_EQ(error_of(pack(good.substr(0, 7) + "\x12" + good.substr(8, 32) + largest + largest)),
            "its counts are too large");
}

TEST(DecodeHdr, DoesNotBlowUp) {
  const std::string bomb(most_hdr_bytes + 1, '\0');
  EXPECT_EQ(decode_hdr(pack(bomb)).error, "it is too long");
}

}  // namespace
}  // namespace forkecho::client
