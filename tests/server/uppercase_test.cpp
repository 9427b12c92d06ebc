// The oracles are ICU and Python; neither shares code or tables with the server.
#include "server/uppercase.h"

#include <gtest/gtest.h>
#include <unicode/ucasemap.h>
#include <unicode/utf8.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace forkecho::server {
namespace {

constexpr char python[] = "/usr/bin/python3";

std::string hex(std::string_view bytes) {
  std::string text;
  char pair[4];
  for (const char byte : bytes) {
    std::snprintf(pair, sizeof pair, "%02x ", static_cast<unsigned char>(byte));
    text += pair;
  }
  return text;
}

std::string unhex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

std::string utf8(unsigned code) {
  char bytes[U8_MAX_LENGTH];
  int size = 0;
  U8_APPEND_UNSAFE(bytes, size, code);
  return {bytes, static_cast<std::size_t>(size)};
}

bool is_scalar(unsigned code) {
  return code < 0xD800 || (code > 0xDFFF && code < 0x110000);
}

/// Calls with every Unicode scalar value.
template <class Check>
void for_each_scalar(Check check) {
  for (unsigned code = 0; code < 0x110000; ++code) {
    if (is_scalar(code)) check(code);
  }
}

/// ICU's opinion of well-formed text, in the root locale.
class Icu {
 public:
  Icu() { map_.reset(ucasemap_open("", 0, &error_)); }

  std::string upper(std::string_view text) {
    std::string result(3 * text.size(), '\0');
    const auto size =
        ucasemap_utf8ToUpper(map_.get(), result.data(), static_cast<int>(result.size()),
                             text.data(), static_cast<int>(text.size()), &error_);
    EXPECT_TRUE(U_SUCCESS(error_)) << u_errorName(error_);
    result.resize(static_cast<std::size_t>(size));
    return result;
  }

  /// Arbitrary bytes, slowly: one character after another, what is none stays as it is.
  std::string upper_bytes(std::string_view bytes) {
    std::string result;
    const int size = static_cast<int>(bytes.size());
    for (int at = 0; at < size;) {
      const int begin = at;
      UChar32 code = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"  // within ICU's macro
      U8_NEXT(bytes.data(), at, size, code);
#pragma GCC diagnostic pop
      const auto part =
          bytes.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(at - begin));
      result += code < 0 ? std::string(part) : upper_of(code, part);
    }
    return result;
  }

 private:
  struct Close {
    void operator()(UCaseMap* map) const { ucasemap_close(map); }
  };

  const std::string& upper_of(UChar32 code, std::string_view character) {
    auto known = known_.find(code);
    if (known == known_.end()) known = known_.emplace(code, upper(character)).first;
    return known->second;
  }

  UErrorCode error_ = U_ZERO_ERROR;
  std::unique_ptr<UCaseMap, Close> map_;
  std::map<UChar32, std::string> known_;
};

/// Feeds each piece from memory of its own and of exactly its size, so that a sanitizer sees a step
/// too far, and checks what feed() promises about the place of its result.
class Stream {
 public:
  explicit Stream(Transform transform = Transform::unicode) : uppercaser_(transform) {}

  std::string feed(std::string_view piece) {
    std::vector<char> chunk(piece.begin(), piece.end());
    std::vector<char> scratch(Uppercaser::max_output(piece.size()));
    const std::string_view result = uppercaser_.feed(chunk, scratch);
    const bool in_place = result.data() == chunk.data() && result.size() <= chunk.size();
    const bool in_scratch = result.data() == scratch.data() && result.size() <= scratch.size();
    EXPECT_TRUE(result.empty() || in_place || in_scratch);
    return std::string(result);
  }
  std::string finish() {
    std::vector<char> scratch(Uppercaser::max_output(0));
    return std::string(uppercaser_.finish(scratch));
  }

 private:
  Uppercaser uppercaser_;
};

std::string upper(std::string_view text) {
  Stream stream;
  std::string result = stream.feed(text);
  return result += stream.finish();
}

/// Feeds the text cut where bit i of `cuts` says that piece ends behind byte i.
std::string upper_cut(std::string_view text, unsigned cuts) {
  Stream stream;
  std::string result;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i + 1 < text.size() && (cuts >> i & 1) == 0) continue;
    result += stream.feed(text.substr(begin, i + 1 - begin));
    begin = i + 1;
  }
  return result += stream.finish();
}

std::string upper_cut_randomly(std::string_view text, std::size_t longest_piece,
                               std::mt19937& random) {
  std::uniform_int_distribution<std::size_t> length(0, longest_piece);
  Stream stream;
  std::string result;
  while (!text.empty()) {
    const auto piece = text.substr(0, length(random));
    result += stream.feed(piece);
    text.remove_prefix(piece.size());
  }
  return result += stream.finish();
}

/// The lines that a Python program prints, split at the blank: {input, output}, both unhexed. The
/// program holds no single quote.
std::vector<std::pair<std::string, std::string>> ask_python(const std::string& program) {
  const std::string command = std::string(python) + " -c '" + program + "'";
  std::FILE* pipe = popen(command.c_str(), "r");
  std::string printed;
  char buffer[1 << 16];
  while (const auto size = std::fread(buffer, 1, sizeof buffer, pipe)) printed.append(buffer, size);
  EXPECT_EQ(pclose(pipe), 0) << command;

  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::string_view rest = printed; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    const auto blank = line.find(' ');
    pairs.emplace_back(unhex(line.substr(0, blank)), unhex(line.substr(blank + 1)));
    rest.remove_prefix(line.size() + 1);
  }
  return pairs;
}

bool python_missing() {
  return access(python, X_OK) != 0;
}

// ---- Whole characters.

TEST(Uppercase, EveryScalarAloneIsAsInIcu) {
  Icu icu;
  std::size_t changed = 0;
  for_each_scalar([&](unsigned code) {
    const std::string character = utf8(code);
    const std::string expected = icu.upper(character);
    changed += expected != character;
    ASSERT_TRUE(upper(character) == expected) << "U+" << std::hex << code;
  });
  EXPECT_EQ(changed, 1525U);
}

/// Long runs go through the blocks, at every alignment, in place and through the scratch memory.
TEST(Uppercase, EveryScalarInContextIsAsInIcu) {
  Icu icu;
  for (const std::size_t spaces : {0, 1, 2, 5, 13, 16, 31, 70}) {
    for (const std::string_view before : {"", "\u0131"}) {  // a change of length leads to scratch
      std::string text(before);
      for_each_scalar([&](unsigned code) {
        text += utf8(code);
        text.append(code % 7 == 0 ? spaces : 0, 'x');
      });
      ASSERT_TRUE(upper(text) == icu.upper(text)) << spaces << " spaces";
    }
  }
}

TEST(Uppercase, EveryCasedScalarInEveryPlaceOfABlockIsAsInIcu) {
  Icu icu;
  for_each_scalar([&](unsigned code) {
    const std::string character = utf8(code);
    const std::string expected = icu.upper(character);
    if (expected == character) return;
    for (std::size_t place = 0; place < 80; place += code < 0x600 ? 1 : 9) {
      std::string text(150, 'a'), upper_text(150, 'A');
      text.insert(place, character);
      upper_text.insert(place, expected);
      ASSERT_EQ(upper(text), upper_text) << "U+" << std::hex << code << " at " << std::dec << place;
    }
  });
}

TEST(Uppercase, EveryScalarIsAsInPython) {
  if (python_missing()) GTEST_SKIP() << python << " is missing";
  const auto pairs = ask_python(R"(
for code in range(0x110000):
    c = chr(code)
    if c.upper() != c:
        print(c.encode().hex(), c.upper().encode().hex())
)");
  ASSERT_EQ(pairs.size(), 1525U);
  const std::map<std::string, std::string> changed(pairs.begin(), pairs.end());
  for_each_scalar([&](unsigned code) {
    const std::string character = utf8(code);
    const auto expected = changed.find(character);
    ASSERT_TRUE(upper(character) == (expected == changed.end() ? character : expected->second))
        << "U+" << std::hex << code;
  });
}

TEST(Uppercase, KnowsFullCaseMapping) {
  EXPECT_EQ(upper("straße ﬁ ﬃ ı ſ ɐ ⱥ ა 𐐨 ꭰ ǆ"),
            "STRASSE FI FFI I S Ɐ Ⱥ Ა 𐐀 Ꭰ Ǆ");
  // Written as code points, where an editor might compose the characters.
  EXPECT_EQ(upper("\u0149 \u01F0 \u0587"), "\u02BCN J\u030C \u0535\u0552");
  EXPECT_EQ(upper("\u0390 \u1FB3 i\u0307"), "\u0399\u0308\u0301 \u0391\u0399 I\u0307");
  EXPECT_EQ(upper("\u03C3\u03C2"), "\u03A3\u03A3");
}

// ---- Bytes that are no text.

TEST(Uppercase, PassesOnWhatIsNotUtf8) {
  for (const std::string_view bytes :
       {"\xED\xA0\x80", "\xED\xBF\xBF", "\xC0\x80", "\xC1\xA1", "\xE0\x81\xA1", "\xE0\x9F\xBF",
        "\xF0\x80\x81\xA1", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF\xFE",
        "\x80\xBF", "\xC3", "\xE1", "\xE1\x83", "\xF0\x90\x90", "\xF0\x90",
        "\xF8\x88\x80\x80\x80"}) {
    EXPECT_EQ(hex(upper(bytes)), hex(bytes));
    const std::string framed = "a" + std::string(bytes) + "z" + std::string(100, 'x');
    EXPECT_EQ(hex(upper(framed)), hex("A" + std::string(bytes) + "Z" + std::string(100, 'X')));
  }
}

TEST(Uppercase, GoesOnBehindWhatIsNotUtf8) {
  EXPECT_EQ(upper("\xC3\xC3\xA4"), "\xC3\xC3\x84");
  EXPECT_EQ(upper("\xE1\x83\xC3\xA4"), "\xE1\x83\xC3\x84");
  EXPECT_EQ(upper("\xF0\x90\x90"
                  "a"),
            "\xF0\x90\x90"
            "A");
  EXPECT_EQ(upper("\xE1\x83\xE1\x83\x90"), "\xE1\x83\xE1\xB2\x90");
}

/// Python makes the cases too: fragments of characters, weighted towards what is nearly right.
TEST(Uppercase, ArbitraryBytesAreAsInPython) {
  if (python_missing()) GTEST_SKIP() << python << " is missing";
  const auto pairs = ask_python(R"(
import random
random.seed(15)
starts = [0, 0x61, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xB5, 0xBF, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4,
          0xCE, 0xD0, 0xD1, 0xDF, 0xE0, 0xE1, 0xE2, 0xEA, 0xEC, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5,
          0xF8, 0xFF]
def some_bytes():
    kind = random.randrange(4)
    if kind == 0: return bytes([random.choice(starts)])
    if kind == 1: return bytes([random.choice(starts)]) + random.choice("aßŉɐაﬁ𐐨").encode()[1:]
    if kind == 2: return chr(random.randrange(0xD800)).encode()
    return random.choice("azßŉıɐაﬁΐ𐐨日").encode()[:random.randrange(1, 5)]
for case in range(20000):
    data = b"".join(some_bytes() for part in range(random.choice((1, 2, 3, 4, 6, 60))))
    text = data.decode("utf-8", "surrogateescape").upper()
    print(data.hex(), text.encode("utf-8", "surrogateescape").hex())
for a in starts:
    for b in starts:
        for c in starts:
            for d in (0x61, 0x80, 0xA8, 0xC3):
                data = bytes((a, b, c, d))
                text = data.decode("utf-8", "surrogateescape").upper()
                print(data.hex(), text.encode("utf-8", "surrogateescape").hex())
)");
  ASSERT_EQ(pairs.size(), 20000U + 4 * 32 * 32 * 32);
  for (const auto& [bytes, expected] : pairs) {
    ASSERT_TRUE(upper(bytes) == expected) << hex(bytes);
    if (bytes.size() > 4) continue;
    for (unsigned cuts = 0; cuts < 8; ++cuts) {
      ASSERT_TRUE(upper_cut(bytes, cuts) == expected) << hex(bytes) << "cuts " << cuts;
    }
  }
}

// ---- Streams.

TEST(Uppercase, AnyCuttingGivesTheSame) {
  Icu icu;
  for (const std::string_view text :
       {"aßŉb", "ΐΰıﬁ", "𐐨z𐐨", "日本aა", "x\xC3ä\xE1\x83y", "\xED\xA0\x80ß\xF0\x90\x90ñ",
        "\xE0\x80\xAFé\xF4\x90\x80", "\xF0\x90\xC3\xA4\xE2\xB1\xC3", "ⱥɐſǰև"}) {
    const std::string expected = icu.upper_bytes(text);
    ASSERT_LE(text.size(), 13U);
    for (unsigned cuts = 0; cuts < 1U << (text.size() - 1); ++cuts) {
      ASSERT_EQ(hex(upper_cut(text, cuts)), hex(expected)) << hex(text) << "cuts " << cuts;
    }
  }
}

TEST(Uppercase, RandomBytesCutRandomlyAreAsTheSlowWay) {
  Icu icu;
  std::mt19937 random(2023);
  std::uniform_int_distribution<unsigned> any_byte(0, 255);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = 0; i < 700; ++i) text += static_cast<char>(any_byte(random));
    const std::string expected = icu.upper_bytes(text);
    ASSERT_EQ(hex(upper(text)), hex(expected));
    ASSERT_EQ(hex(upper_cut_randomly(text, 300, random)), hex(expected));
    ASSERT_EQ(hex(upper_cut_randomly(text, 3, random)), hex(expected));
  }
}

TEST(Uppercase, RandomTextCutRandomlyIsAsTheSlowWay) {
  Icu icu;
  std::mt19937 random(1000);
  constexpr std::string_view parts[] = {"a",        "Q",    "the quick brown fox jumps ",
                                        "ß",        "ж",    "щ",
                                        "ı",        "ა",    "ΐ",
                                        "ﬁ",        "日",   "𐐨",
                                        "😀",        "ⱥ",    "\xC3",
                                        "\xE1\x83", "\x80", "\xED\xA0\x80",
                                        "ﬃ",        "ꭰ"};
  std::uniform_int_distribution<std::size_t> any_part(0, std::size(parts) - 1);
  for (int round = 0; round < 400; ++round) {
    // A few parts at a time make runs of one script, and runs without a change of length.
    const std::size_t first = any_part(random), second = any_part(random);
    std::string text;
    for (int i = 0; i < 200; ++i) {
      text += parts[i % 50 == 0 ? any_part(random) : random() % 2 == 0 ? first : second];
    }
    const std::string expected = icu.upper_bytes(text);
    ASSERT_EQ(hex(upper(text)), hex(expected));
    ASSERT_EQ(hex(upper_cut_randomly(text, 500, random)), hex(expected));
    ASSERT_EQ(hex(upper_cut_randomly(text, 9, random)), hex(expected));
  }
}

TEST(Uppercase, KeepsOnlyWhatMayBecomeACharacter) {
  Stream stream;
  EXPECT_EQ(stream.feed("a\xC3"), "A");
  EXPECT_EQ(stream.feed("\xA4"), "\xC3\x84");
  EXPECT_EQ(stream.feed("\xF0\x90\x90"), "");
  EXPECT_EQ(stream.feed(""), "");
  EXPECT_EQ(stream.feed("b"),
            "\xF0\x90\x90"
            "B");
  for (const std::string_view hopeless :
       {"\xC0", "\xC1", "\xF5", "\xFF", "\x80", "\xE0\x80", "\xED\xA0", "\xF0\x8F", "\xF4\x90"}) {
    EXPECT_EQ(hex(stream.feed(hopeless)), hex(hopeless));
  }
  EXPECT_EQ(stream.finish(), "");
}

TEST(Uppercase, FinishGivesBackTheRestAndBeginsAnew) {
  for (const std::string_view begun :
       {"\xC3", "\xE1", "\xE1\x83", "\xF0", "\xF0\x90", "\xF0\x90\x90"}) {
    Stream stream;
    EXPECT_EQ(stream.feed(begun), "");
    EXPECT_EQ(hex(stream.finish()), hex(begun));
    EXPECT_EQ(stream.finish(), "");
    EXPECT_EQ(stream.feed("a"), "A");
  }
}

// ---- Memory.

TEST(Uppercase, AsciiStaysInPlaceAndLeavesTheScratchAlone) {
  for (std::size_t size = 0; size < 300; ++size) {
    std::string chunk(size, 'q');
    std::vector<char> scratch(Uppercaser::max_output(size), '!');
    Uppercaser uppercaser(Transform::unicode);
    const auto result = uppercaser.feed(chunk, scratch);
    EXPECT_EQ(result.data(), chunk.data());
    EXPECT_EQ(result, std::string(size, 'Q'));
    EXPECT_EQ(std::count(scratch.begin(), scratch.end(), '!'), std::ssize(scratch));
  }
}

TEST(Uppercase, TextWhoseLengthStaysStaysInPlace) {
  std::string chunk = "Съешь же ещё этих мягких французских булок, да выпей чаю, größere Grüße";
  std::vector<char> scratch(Uppercaser::max_output(chunk.size()), '!');
  Uppercaser uppercaser(Transform::unicode);
  const auto result = uppercaser.feed(chunk, scratch);
  EXPECT_EQ(result.data(), chunk.data());
  EXPECT_EQ(result, "СЪЕШЬ ЖЕ ЕЩЁ ЭТИХ МЯГКИХ ФРАНЦУЗСКИХ БУЛОК, ДА ВЫПЕЙ ЧАЮ, GRÖSSERE GRÜSSE");
  EXPECT_EQ(std::count(scratch.begin(), scratch.end(), '!'), std::ssize(scratch));
}

TEST(Uppercase, GrowsAtMostToMaxOutput) {
  std::string text, expected;
  for (int i = 0; i < 200; ++i) {
    text += "\u0390";
    expected += "\u0399\u0308\u0301";
  }
  ASSERT_EQ(expected.size(), 3 * text.size());
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Stream stream;  // its memory ends where max_output() says
    std::string result = stream.feed(std::string_view(text).substr(0, cut));
    result += stream.feed(std::string_view(text).substr(cut));
    ASSERT_EQ(hex(result + stream.finish()), hex(expected)) << "cut at " << cut;
  }
}

// ---- The other transforms.

TEST(Uppercase, AsciiMapsLettersOfAsciiOnly) {
  std::string text, expected;
  for (int round = 0; round < 3; ++round) {
    for (int byte = 0; byte < 256; ++byte) {
      text += static_cast<char>(byte);
      expected += static_cast<char>(byte >= 'a' && byte <= 'z' ? byte - 32 : byte);
    }
  }
  for (std::size_t skip = 0; skip < 70; ++skip) {
    Stream stream(Transform::ascii);
    EXPECT_EQ(hex(stream.feed(text.substr(skip))), hex(expected.substr(skip)));
    EXPECT_EQ(stream.finish(), "");
  }
}

TEST(Uppercase, NoneChangesNothing) {
  Stream stream(Transform::none);
  EXPECT_EQ(stream.feed("straße \xFF\xC3"), "straße \xFF\xC3");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Uppercase, AsciiAndNoneNeedNoScratch) {
  for (const Transform transform : {Transform::ascii, Transform::none}) {
    std::string chunk = "\xC3";
    EXPECT_EQ(Uppercaser(transform).feed(chunk, {}).data(), chunk.data());
  }
}

TEST(Transform, NamesReadBack) {
  for (const Transform transform : {Transform::unicode, Transform::ascii, Transform::none}) {
    EXPECT_EQ(parse_transform(to_string(transform)), transform);
  }
  EXPECT_EQ(to_string(Transform::ascii), "ascii");
  for (const char* text : {"", "Unicode", "ascii ", "upper"})
    EXPECT_FALSE(parse_transform(text)) << text;
}

}  // namespace
}  // namespace forkecho::server
