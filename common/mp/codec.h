// How a value becomes bytes that cross to another process, and a value again there.
//
// These cross: trivially copyable types without pointers (as their bytes: both sides are the same
// program; not C arrays, which forget what they are); std::string; vector, array, pair, tuple,
// optional and map of what crosses; and a type with its own
//     void encode(mp::Encoder& to) const;      static T decode(mp::Decoder& from);
// Anything else is one line of error from the compiler. A struct with a pointer in it cannot be
// told from one without: its bytes cross, and the pointer means nothing on the other side.
//
// Decoding bytes that were not encoded from the same type throws DecodeError, or gives a value that
// nobody sent. Values only; safe everywhere.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkecho::mp {

using Bytes = std::vector<std::byte>;
using BytesView = std::span<const std::byte>;

/// The bytes end before the value does, or hold what no value of the type would be encoded as.
class DecodeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Appends to a message.
class Encoder {
 public:
  void raw(const void* from, std::size_t count) {
    if (count == 0) return;
    const std::size_t before = bytes_.size();
    bytes_.resize(before + count);
    std::memcpy(bytes_.data() + before, from, count);
  }
  template <typename T>
  void put(const T& value);
  BytesView view() const { return bytes_; }
  /// Takes back what was appended after the first `size` bytes.
  void cut(std::size_t size) { bytes_.resize(std::min(size, bytes_.size())); }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

/// Reads a message from its beginning. Views the bytes, which must live longer.
class Decoder {
 public:
  explicit Decoder(BytesView bytes) : rest_(bytes) {}
  /// The next `count` bytes; DecodeError when there are fewer.
  BytesView raw(std::size_t count) {
    if (count > rest_.size()) throw DecodeError("a message ends before its value does");
    const BytesView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  template <typename T>
  T get();
  std::size_t left() const { return rest_.size(); }

 private:
  BytesView rest_;
};

namespace detail {

/// Trivially copyable, and yet of no meaning in another process.
template <typename T>
inline constexpr bool refers_v =
    std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_null_pointer_v<T>;
template <typename C, typename Traits>
inline constexpr bool refers_v<std::basic_string_view<C, Traits>> = true;
template <typename T, std::size_t N>
inline constexpr bool refers_v<std::span<T, N>> = true;
template <typename T>
inline constexpr bool refers_v<std::reference_wrapper<T>> = true;

/// Has a codec of its own below, although it may be trivially copyable.
template <typename T>
inline constexpr bool composed_v = false;
template <typename T, std::size_t N>
inline constexpr bool composed_v<std::array<T, N>> = true;
template <typename A, typename B>
inline constexpr bool composed_v<std::pair<A, B>> = true;
template <typename... T>
inline constexpr bool composed_v<std::tuple<T...>> = true;
template <typename T>
inline constexpr bool composed_v<std::optional<T>> = true;

template <typename T>
concept EncodesItself = requires(const T& value, Encoder& to, Decoder& from) {
  value.encode(to);
  { T::decode(from) } -> std::same_as<T>;
};

/// Crosses as its bytes.
template <typename T>
concept Plain = std::is_trivially_copyable_v<T> && std::is_object_v<T> && !std::is_array_v<T> &&
                !refers_v<T> && !composed_v<T> && !EncodesItself<T>;

/// The codec of T. The primary template is that of the types that do not cross: it says so once,
/// and what uses it compiles, so that the one line stands alone.
template <typename T>
struct Codec {
  static constexpr bool crosses = false;
  static void encode(Encoder&, const T&) { refuse(); }
  static std::decay_t<T> decode(Decoder&) {  // a function cannot return an array
    refuse();
    std::abort();
  }
  template <typename U = T>
  static void refuse() {
    static_assert(Codec<U>::crosses,
                  "this type cannot cross to another process: make it trivially copyable without "
                  "pointers, or a string, vector, array, pair, tuple, optional or map of such, or "
                  "give it encode() and decode() (common/mp/codec.h)");
  }
};

template <Plain T>
struct Codec<T> {
  static constexpr bool crosses = true;
  static void encode(Encoder& to, const T& value) { to.raw(&value, sizeof value); }
  static T decode(Decoder& from) {
    std::array<std::byte, sizeof(T)> bytes;
    std::memcpy(bytes.data(), from.raw(sizeof(T)).data(), sizeof(T));
    return std::bit_cast<T>(bytes);
  }
};

template <>
struct Codec<bool> {
  static constexpr bool crosses = true;
  static void encode(Encoder& to, bool value) { to.raw(&value, sizeof value); }
  static bool decode(Decoder& from) {
    const auto byte = std::to_integer<int>(from.raw(sizeof(bool))[0]);
    if (byte > 1) throw DecodeError("a byte that is neither true nor false");
    return byte == 1;
  }
};

template <EncodesItself T>
struct Codec<T> {
  static constexpr bool crosses = true;
  static void encode(Encoder& to, const T& value) { value.encode(to); }
  static T decode(Decoder& from) { return T::decode(from); }
};

inline std::uint64_t decode_count(Decoder& from) {
  return Codec<std::uint64_t>::decode(from);
}
inline void encode_count(Encoder& to, std::size_t count) {
  Codec<std::uint64_t>::encode(to, count);
}

template <>
struct Codec<std::string> {
  static constexpr bool crosses = true;
  static void encode(Encoder& to, const std::string& value) {
    encode_count(to, value.size());
    to.raw(value.data(), value.size());
  }
  static std::string decode(Decoder& from) {
    const BytesView bytes = from.raw(decode_count(from));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

template <typename T, typename Allocator>
struct Codec<std::vector<T, Allocator>> {
  static constexpr bool crosses = Codec<T>::crosses;
  static void encode(Encoder& to, const std::vector<T, Allocator>& values) {
    encode_count(to, values.size());
    if constexpr (in_one_piece) {
      to.raw(values.data(), values.size() * sizeof(T));
    } else {
      for (const auto& value : values) Codec<T>::encode(to, value);
    }
  }
  static std::vector<T, Allocator> decode(Decoder& from) {
    const std::uint64_t count = decode_count(from);
    std::vector<T, Allocator> values;
    if constexpr (in_one_piece) {
      if (count > from.left() / sizeof(T)) throw DecodeError("a vector is cut short");
      const BytesView bytes = from.raw(count * sizeof(T));
      values.resize(count);
      if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    } else {
      for (std::uint64_t i = 0; i < count; ++i) values.push_back(Codec<T>::decode(from));
    }
    return values;
  }

 private:
  static constexpr bool in_one_piece =
      Plain<T> && std::is_default_constructible_v<T> && !std::is_same_v<T, bool>;
};

template <typename T, std::size_t N>
struct Codec<std::array<T, N>> {
  static constexpr bool crosses = Codec<T>::crosses;
  static void encode(Encoder& to, const std::array<T, N>& values) {
    for (const T& value : values) Codec<T>::encode(to, value);
  }
  static std::array<T, N> decode(Decoder& from) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<T, N>{(static_cast<void>(I), Codec<T>::decode(from))...};
    }
    (std::make_index_sequence<N>{});
  }
};

template <typename... T>
struct Codec<std::tuple<T...>> {
  static constexpr bool crosses = (Codec<T>::crosses && ...);
  static void encode(Encoder& to, const std::tuple<T...>& value) {
    std::apply([&](const T&... each) { (Codec<T>::encode(to, each), ...); }, value);
  }
  // Braces, since they alone fix the order of evaluation.
  static std::tuple<T...> decode(Decoder& from) {
    return std::tuple<T...>{Codec<T>::decode(from)...};
  }
};

template <typename A, typename B>
struct Codec<std::pair<A, B>> {
  static constexpr bool crosses = Codec<A>::crosses && Codec<B>::crosses;
  static void encode(Encoder& to, const std::pair<A, B>& value) {
    Codec<std::remove_const_t<A>>::encode(to, value.first);
    Codec<B>::encode(to, value.second);
  }
  static std::pair<A, B> decode(Decoder& from) {
    return std::pair<A, B>{Codec<A>::decode(from), Codec<B>::decode(from)};
  }
};

template <typename T>
struct Codec<std::optional<T>> {
  static constexpr bool crosses = Codec<T>::crosses;
  static void encode(Encoder& to, const std::optional<T>& value) {
    Codec<bool>::encode(to, value.has_value());
    if (value) Codec<T>::encode(to, *value);
  }
  static std::optional<T> decode(Decoder& from) {
    if (!Codec<bool>::decode(from)) return std::nullopt;
    return Codec<T>::decode(from);
  }
};

template <typename K, typename V, typename Compare>
struct Codec<std::map<K, V, Compare>> {
  static constexpr bool crosses = Codec<K>::crosses && Codec<V>::crosses;
  static void encode(Encoder& to, const std::map<K, V, Compare>& map) {
    encode_count(to, map.size());
    for (const auto& [key, value] : map) {
      Codec<K>::encode(to, key);
      Codec<V>::encode(to, value);
    }
  }
  static std::map<K, V, Compare> decode(Decoder& from) {
    std::map<K, V, Compare> map;
    for (std::uint64_t left = decode_count(from); left > 0; --left)
      map.insert(Codec<std::pair<K, V>>::decode(from));
    return map;
  }
};

}  // namespace detail

/// Whether values of T cross to another process.
template <typename T>
concept Crosses = detail::Codec<T>::crosses;

/// Compiles when values of T cross; otherwise it is the one line of error that using T would be.
template <typename T>
void must_cross() {
  if constexpr (!Crosses<T>) static_cast<void>(&detail::Codec<T>::encode);
}

template <typename T>
void Encoder::put(const T& value) {
  detail::Codec<T>::encode(*this, value);
}

template <typename T>
T Decoder::get() {
  return detail::Codec<T>::decode(*this);
}

/// Calls use(BytesView) with the encoded value; a plain value is not copied for it.
template <typename T, typename Use>
decltype(auto) with_encoded(const T& value, Use use) {
  if constexpr (detail::Plain<T>) {
    return use(std::as_bytes(std::span(&value, 1)));
  } else {
    Encoder encoder;
    encoder.put(value);
    return use(encoder.view());
  }
}

/// The value that `bytes` encode, all of them: DecodeError when some are left.
template <typename T>
T decode(BytesView bytes) {
  Decoder decoder(bytes);
  T value = decoder.get<T>();
  if (decoder.left() != 0) throw DecodeError("a message is longer than its value");
  return value;
}

}  // namespace forkecho::mp
