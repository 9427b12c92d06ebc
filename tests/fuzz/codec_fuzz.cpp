// A message from another process, of bytes that nobody encoded: it is refused by a DecodeError, or
// is a value that crosses as well as any. The first byte says which type is expected.
#include "common/mp/codec.h"

#include <string>

#include "tests/fuzz/target.h"

namespace forkecho::fuzz {
namespace {

/// A type with a codec of its own, as mp's users write them.
struct Job {
  std::string name;
  std::optional<std::vector<std::uint16_t>> sizes;
  void encode(mp::Encoder& to) const {
    to.put(name);
    to.put(sizes);
  }
  static Job decode(mp::Decoder& from) {
    auto name = from.get<std::string>();
    return {std::move(name), from.get<std::optional<std::vector<std::uint16_t>>>()};
  }
};

template <typename T>
mp::Bytes encoded(const T& value) {
  mp::Encoder encoder;
  encoder.put(value);
  return encoder.take();
}

/// Bytes are compared, since a value may hold a NaN.
template <typename T>
void decode_as(mp::BytesView message) {
  std::optional<T> value;
  try {
    value = mp::decode<T>(message);
  } catch (const mp::DecodeError&) {
    return;
  }
  const mp::Bytes once = encoded(*value);
  require(encoded(mp::decode<T>(once)) == once, "what was decoded crosses again");
}

using Decode = void (*)(mp::BytesView);
constexpr Decode decoders[] = {
    decode_as<bool>,
    decode_as<double>,
    decode_as<std::string>,
    decode_as<std::vector<std::string>>,
    decode_as<std::vector<bool>>,
    decode_as<std::vector<std::uint32_t>>,
    decode_as<std::array<std::optional<std::string>, 3>>,
    decode_as<std::pair<std::string, std::tuple<int, bool, std::string>>>,
    decode_as<std::map<std::string, std::vector<std::pair<int, std::string>>>>,
    decode_as<Job>,
    decode_as<std::vector<std::vector<Job>>>,
};

}  // namespace

void fuzz(std::string_view input) {
  if (input.empty()) return;
  const auto type = static_cast<unsigned char>(input.front()) % std::size(decoders);
  decoders[type](std::as_bytes(std::span(input.substr(1))));
}

}  // namespace forkecho::fuzz
