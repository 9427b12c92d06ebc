#include "client/hdr_encoding.h"

#include <zlib.h>

#include <bit>
#include <limits>
#include <new>
#include <stdexcept>

#include "client/base64.h"

namespace forkecho::client {
namespace {

constexpr std::uint32_t counts_cookie = 0x1c849313;      // V2, counts in LEB128
constexpr std::uint32_t compressed_cookie = 0x1c849314;  // around it
constexpr std::size_t header_bytes = 40;
constexpr std::uint32_t most_bytes_of_a_number = 9;

// --- writing
// --------------------------------------------------------------------------------------

template <typename Number>
void append_big_endian(std::string& bytes, Number number) {
  for (std::size_t left = sizeof number; left-- > 0;) {
    bytes += static_cast<char>(number >> (8 * left) & 0xFF);
  }
}

/// Seven bits a byte, the lowest first; the ninth byte has eight.
void append_leb128(std::string& bytes, std::uint64_t number) {
  for (std::uint32_t i = 1; i < most_bytes_of_a_number; ++i) {
    if (number < 0x80) {
      bytes += static_cast<char>(number);
      return;
    }
    bytes += static_cast<char>((number & 0x7F) | 0x80);
    number >>= 7;
  }
  bytes += static_cast<char>(number);
}

void append_signed(std::string& bytes, std::int64_t number) {
  append_leb128(bytes,
                static_cast<std::uint64_t>(number) << 1 ^ static_cast<std::uint64_t>(number >> 63));
}

std::string encode_counts(const HdrHistogram& histogram) {
  std::string bytes;
  std::size_t next = 0;
  for (const auto& [index, count] : histogram.buckets) {
    const auto zeros = static_cast<std::int64_t>(index - next);
    if (zeros == 1) append_signed(bytes, 0);
    if (zeros > 1) append_signed(bytes, -zeros);
    append_signed(bytes, static_cast<std::int64_t>(count));
    next = index + 1;
  }
  return bytes;
}

std::string encode_plain(const HdrHistogram& histogram) {
  const std::string counts = encode_counts(histogram);
  std::string bytes;
  append_big_endian(bytes, counts_cookie);
  append_big_endian(bytes, static_cast<std::uint32_t>(counts.size()));
  append_big_endian(bytes, std::uint32_t{0});
  append_big_endian(bytes, std::uint32_t{histogram.layout.digits});
  append_big_endian(bytes, histogram.layout.lowest);
  append_big_endian(bytes, histogram.layout.highest);
  append_big_endian(bytes, std::bit_cast<std::uint64_t>(1.0));
  return bytes + counts;
}

std::string deflate(const std::string& plain) {
  uLongf size = compressBound(plain.size());
  std::string packed(size, '\0');
  const int code =
      compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                reinterpret_cast<const Bytef*>(plain.data()), plain.size(), Z_DEFAULT_COMPRESSION);
  if (code == Z_MEM_ERROR) throw std::bad_alloc();
  if (code != Z_OK) throw std::logic_error("zlib did not compress");
  packed.resize(size);
  return packed;
}

// --- reading
// --------------------------------------------------------------------------------------

/// What is wrong with the bytes, for the one catch in decode_hdr.
struct Malformed {
  const char* what;
};

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : left_(bytes) {}

  template <typename Number>
  Number big_endian() {
    Number number = 0;
    for (std::size_t i = 0; i < sizeof number; ++i) number = number << 8 | next();
    return number;
  }
  std::int64_t signed_number() {
    const std::uint64_t folded = leb128();
    return static_cast<std::int64_t>(folded >> 1 ^ (~(folded & 1) + 1));
  }
  Bytes take(std::size_t size) {
    if (size > left_.size()) throw Malformed{"it is cut short"};
    const Bytes taken(left_.substr(0, size));
    left_.remove_prefix(size);
    return taken;
  }
  std::string_view rest() const { return left_; }

 private:
  std::uint8_t next() {
    if (left_.empty()) throw Malformed{"it is cut short"};
    const auto byte = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return byte;
  }
  std::uint64_t leb128() {
    std::uint64_t number = 0;
    for (unsigned i = 0; i + 1 < most_bytes_of_a_number; ++i) {
      const std::uint64_t byte = next();
      number |= (byte & 0x7F) << (7 * i);
      if (byte < 0x80) return number;
    }
    return number | std::uint64_t{next()} << 56;
  }

  std::string_view left_;
};

class InflateStream {
 public:
  explicit InflateStream(std::string_view packed) {
    stream_.next_in =
        reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // zlib only reads
    stream_.avail_in = static_cast<uInt>(packed.size());
    if (inflateInit(&stream_) != Z_OK) throw std::bad_alloc();
  }
  InflateStream(const InflateStream&) = delete;
  InflateStream& operator=(const InflateStream&) = delete;
  ~InflateStream() { inflateEnd(&stream_); }

  std::string all() {
    std::string plain;
    for (int code = Z_OK; code != Z_STREAM_END;) {
      if (plain.size() >= most_hdr_bytes) throw Malformed{"it is too long"};
      const std::size_t before = plain.size();
      plain.resize(before + step);
      stream_.next_out = reinterpret_cast<Bytef*>(plain.data() + before);
      stream_.avail_out = step;
      code = inflate(&stream_, Z_NO_FLUSH);
      plain.resize(plain.size() - stream_.avail_out);
      if (code == Z_MEM_ERROR) throw std::bad_alloc();
      if (code != Z_OK && code != Z_STREAM_END) throw Malformed{"zlib cannot decompress it"};
    }
    return plain;
  }

 private:
  static constexpr uInt step = 64U << 10;
  z_stream stream_{};
};

HdrLayout read_layout(Bytes& bytes) {
  HdrLayout layout;
  layout.digits = bytes.big_endian<std::uint32_t>();
  layout.lowest = bytes.big_endian<std::uint64_t>();
  layout.highest = bytes.big_endian<std::uint64_t>();
  if (!layout.possible()) throw Malformed{"no histogram has its digits and bounds"};
  if (std::bit_cast<double>(bytes.big_endian<std::uint64_t>()) != 1.0) {
    throw Malformed{"its values are not whole numbers"};
  }
  return layout;
}

void read_counts(Bytes bytes, HdrHistogram& histogram) {
  const std::size_t most = histogram.layout.buckets();
  std::uint64_t sum = 0;
  for (std::size_t index = 0; !bytes.rest().empty();) {
    const std::int64_t number = bytes.signed_number();
    const std::uint64_t buckets = number < 0 ? ~static_cast<std::uint64_t>(number) + 1 : 1;
    if (buckets > most - index) throw Malformed{"it has more counts than buckets"};
    if (number > 0) {
      const auto count = static_cast<std::uint64_t>(number);
      if (count > std::numeric_limits<std::int64_t>::max() - sum) {
        throw Malformed{"its counts are too large"};
      }
      sum += count;
      histogram.buckets.push_back({index, count});
    }
    index += buckets;
  }
}

HdrHistogram decode_plain(std::string_view plain) {
  if (plain.size() < header_bytes) throw Malformed{"it is cut short"};
  Bytes bytes(plain);
  if (bytes.big_endian<std::uint32_t>() != counts_cookie) throw Malformed{"it is no V2 histogram"};
  const auto size = bytes.big_endian<std::uint32_t>();
  if (bytes.big_endian<std::uint32_t>() != 0) throw Malformed{"its counts are shifted"};
  HdrHistogram histogram;
  histogram.layout = read_layout(bytes);
  read_counts(bytes.take(size), histogram);
  return histogram;
}

HdrHistogram decode(std::string_view base64) {
  const auto packed = decode_base64(base64);
  if (!packed) throw Malformed{"it is no base64"};
  Bytes bytes(*packed);
  if (bytes.big_endian<std::uint32_t>() != compressed_cookie) {
    throw Malformed{"it is no compressed V2 histogram"};
  }
  const auto size = bytes.big_endian<std::uint32_t>();
  return decode_plain(InflateStream(bytes.take(size).rest()).all());
}

}  // namespace

std::string encode_hdr(const HdrHistogram& histogram) {
  const std::string packed = deflate(encode_plain(histogram));
  std::string bytes;
  append_big_endian(bytes, compressed_cookie);
  append_big_endian(bytes, static_cast<std::uint32_t>(packed.size()));
  return encode_base64(bytes + packed);
}

DecodedHdr decode_hdr(std::string_view base64) {
  try {
    return {.histogram = decode(base64), .error = {}};
  } catch (const Malformed& malformed) {
    return {.histogram = {}, .error = malformed.what};
  }
}

}  // namespace forkecho::client
