// The stream that the server makes upper case, cut anywhere, against ICU character by character.
#include <unicode/ucasemap.h>
#include <unicode/utf8.h>

#include <array>
#include <string>
#include <vector>

#include "server/uppercase.h"
#include "tests/fuzz/target.h"

namespace forkecho::fuzz {
namespace {

using server::Transform;
using server::Uppercaser;

constexpr std::size_t longest_with_all_cuttings = 9;
constexpr int random_cuttings = 8;

UCaseMap* root_locale() {
  static UErrorCode error = U_ZERO_ERROR;
  static UCaseMap* const map = ucasemap_open("", 0, &error);
  require(U_SUCCESS(error) != 0, "ICU opens its case map");
  return map;
}

std::string upper_of_character(std::string_view character) {
  std::array<char, 32> upper{};
  UErrorCode error = U_ZERO_ERROR;
  const int size =
      ucasemap_utf8ToUpper(root_locale(), upper.data(), static_cast<int>(upper.size()),
                           character.data(), static_cast<int>(character.size()), &error);
  require(U_SUCCESS(error) != 0, "ICU maps a character");
  return {upper.data(), static_cast<std::size_t>(size)};
}

/// What is no character stays as it is: ICU ends it where the Unicode standard's practice does.
std::string upper_by_icu(std::string_view text) {
  std::string upper;
  const int size = static_cast<int>(text.size());
  for (int at = 0; at < size;) {
    const int begin = at;
    UChar32 code = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"  // within ICU's macro
    U8_NEXT(text.data(), at, size, code);
#pragma GCC diagnostic pop
    const auto part =
        text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(at - begin));
    upper += code < 0 ? std::string(part) : upper_of_character(part);
  }
  return upper;
}

/// Feeds each piece from memory of its own and of exactly its size.
class Stream {
 public:
  explicit Stream(Transform transform) : uppercaser_(transform) {}

  void feed(std::string_view piece) {
    std::vector<char> chunk(piece.begin(), piece.end());
    std::vector<char> scratch(Uppercaser::max_output(piece.size()));
    result_ += uppercaser_.feed(chunk, scratch);
  }
  std::string finish() {
    std::vector<char> scratch(Uppercaser::max_output(0));
    result_ += uppercaser_.finish(scratch);
    return std::move(result_);
  }

 private:
  Uppercaser uppercaser_;
  std::string result_;
};

/// Ends a piece behind byte i where bit i of `cuts` is set.
std::string upper_cut_at(std::string_view text, std::uint64_t cuts) {
  Stream stream(Transform::unicode);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i + 1 < text.size() && (cuts >> i & 1) == 0) continue;
    stream.feed(text.substr(begin, i + 1 - begin));
    begin = i + 1;
  }
  return stream.finish();
}

std::string upper_cut_randomly(std::string_view text, Cuts& cuts, Transform transform) {
  Stream stream(transform);
  const std::size_t longest_piece = 1 + cuts.next(text.size());
  while (!text.empty()) {
    const auto piece = text.substr(0, cuts.next(longest_piece));
    stream.feed(piece);
    text.remove_prefix(piece.size());
  }
  return stream.finish();
}

std::string upper_of_ascii(std::string_view text) {
  std::string upper(text);
  for (char& byte : upper) {
    if (byte >= 'a' && byte <= 'z') byte = static_cast<char>(byte - 'a' + 'A');
  }
  return upper;
}

}  // namespace

void fuzz(std::string_view input) {
  const std::string expected = upper_by_icu(input);
  if (input.size() <= longest_with_all_cuttings) {
    const std::uint64_t cuttings = std::uint64_t{1} << (input.empty() ? 0 : input.size() - 1);
    for (std::uint64_t cuts = 0; cuts < cuttings; ++cuts)
      require(upper_cut_at(input, cuts) == expected, "every cutting gives what ICU gives");
  }
  Cuts cuts(input);
  for (int i = 0; i < random_cuttings; ++i)
    require(upper_cut_randomly(input, cuts, Transform::unicode) == expected,
            "a cutting gives what ICU gives");
  require(upper_cut_randomly(input, cuts, Transform::ascii) == upper_of_ascii(input),
          "ascii maps a to z alone");
  require(upper_cut_randomly(input, cuts, Transform::none) == input, "none changes nothing");
}

}  // namespace forkecho::fuzz
