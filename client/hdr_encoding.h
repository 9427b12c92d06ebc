// The V2 encoding of HdrHistogram, compressed and in base64 ("HISTFAAAA…"), as its logs have it and
// as the JSON of a run does. Pure functions; what is read may be anybody's.
//
// Source of the format: HdrHistogram's AbstractHistogram.encodeIntoByteBuffer and ZigZagEncoding.
// Within zlib's stream (RFC 1950), all numbers big-endian: a cookie, the length of the counts, an
// offset that is always 0, the significant digits, the lowest and the highest value, the ratio 1.0;
// then the counts up to the last that is not 0, each as a ZigZag LEB128 number of at most nine
// bytes, where a negative one stands for that many buckets of 0.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/hdr_histogram.h"

namespace forkecho::client {

/// One line of base64. Throws std::bad_alloc alone.
std::string encode_hdr(const HdrHistogram& histogram);

struct DecodedHdr {
  std::optional<HdrHistogram> histogram;
  std::string error;  // what is wrong with it, for a sentence: "it is no base64"
};
/// Takes no more memory than a few times most_hdr_bytes, whatever the text.
DecodedHdr decode_hdr(std::string_view base64);

/// What a histogram may be long when it is decompressed: more than the longest with five digits.
inline constexpr std::size_t most_hdr_bytes = std::size_t{64} << 20;

}  // namespace forkecho::client
