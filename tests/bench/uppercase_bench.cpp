// How fast the server uppercases, beside a copy of the same bytes and beside ICU. bench.py runs it
// and shows what it prints; the figures mean something only while nothing else runs.
//
//     uppercase_bench ROUNDS
//
// A line of JSON for each text: its bytes, and for each round the seconds of each contestant. They
// take turns within a round, in an order that turns too. Takes some 2.2 GB of memory. Built without
// ICU it says so, and leaves that contestant out. Exit status 1 if ours and ICU's results differ.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#ifdef FORKECHO_BENCH_ICU
#include <unicode/ucasemap.h>
#endif

#include "server/uppercase.h"

namespace {

using forkecho::server::Transform;
using forkecho::server::Uppercaser;

constexpr std::size_t read_size = 64 << 10;  // what the server reads at once
constexpr std::size_t large = 1 << 30;
constexpr std::size_t small = 64 << 20;
/// A text repeats after so much: too long for a branch predictor to learn.
constexpr std::size_t period = 16 << 20;

struct Script {
  const char* name;
  int weight;  // lines of a hundred in the mixed text
  std::string_view sentence;
};

constexpr Script scripts[] = {
    {"English", 40, "The quick brown fox jumps over the lazy dog, and nobody asks what it costs"},
    {"German", 10, "Zwölf große Boxkämpfer jagen Viktor quer über den Sylter Deich; schöne Grüße"},
    {"French", 10, "Dès Noël, où un zéphyr haï me vêt de glaçons würmiens, je dîne d'exquis rôtis"},
    {"Turkish", 5, "Pijamalı hasta, yağız şoföre çabucak güvendi; ışık ılık ılık akıyordu"},
    {"Greek", 10, "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, και κανείς δεν ρωτά τι κοστίζει"},
    {"Russian", 10, "Съешь же ещё этих мягких французских булок, да выпей чаю, мой друг"},
    {"Japanese", 5, "いろはにほへと ちりぬるを、 色は匂へど 散りぬるを 我が世 誰ぞ 常ならむ。"},
    {"Chinese", 5, "天地玄黄， 宇宙洪荒。 日月盈昃， 辰宿列张。 寒来暑往， 秋收冬藏。"},
    {"specials", 5, "straße ŉ ﬁn ﬂieg oﬃce ΐ ΰ ǰ և ᾳ ῷ ᾧ ὀδύσσευς ǆ ǌ ẖ ﬓ ﬆ ß İ ı ſ K å"},
    {"Georgian", 0, "სწრაფი ყავისფერი მელა ახტება ზარმაც ძაღლს და არავინ კითხულობს ფასს"},
    {"Deseret", 0, "𐐜 𐐿𐐶𐐮𐐿 𐐺𐑉𐐵𐑌 𐑁𐐱𐐿𐑅 𐐾𐐲𐑋𐐹𐑅 𐐬𐑂𐐲𐑉 𐑄 𐑊𐐩𐑆𐐨 𐐼𐐱𐑀"},
};

// ---- texts

using Words = std::vector<std::string_view>;

Words words_of(std::string_view sentence) {
  Words words;
  while (!sentence.empty()) {
    const std::size_t end = std::min(sentence.find(' '), sentence.size());
    words.push_back(sentence.substr(0, end));
    sentence.remove_prefix(std::min(end + 1, sentence.size()));
  }
  return words;
}

/// Ten of the words, drawn by lot.
void append_line(std::string& text, const Words& words, std::mt19937& lot) {
  constexpr int words_in_line = 10;
  for (int i = 0; i < words_in_line; ++i) {
    text += words[lot() % words.size()];
    text += i + 1 < words_in_line ? ' ' : '\n';
  }
}

/// `size` bytes, of lines that `append` makes; ends on a character, if need be padded.
std::string make_text(std::size_t size, const std::function<void(std::string&)>& append) {
  std::string part;
  while (part.size() < std::min(period, size)) append(part);
  std::string text;
  text.reserve(size);
  while (text.size() + part.size() <= size) text += part;
  const std::size_t rest = size - text.size();
  if (rest > 0) text += part.substr(0, part.rfind('\n', rest - 1) + 1);
  text.resize(size, '.');
  return text;
}

std::string text_in(const Script& script, std::size_t size) {
  std::mt19937 lot(1);
  const Words words = words_of(script.sentence);
  return make_text(size, [&](std::string& text) { append_line(text, words, lot); });
}

std::string mixed_text(std::size_t size) {
  std::mt19937 lot(1);
  std::vector<Words> lines;
  for (const Script& script : scripts)
    lines.insert(lines.end(), static_cast<std::size_t>(script.weight), words_of(script.sentence));
  return make_text(size,
                   [&](std::string& text) { append_line(text, lines[lot() % lines.size()], lot); });
}

// ---- contestants

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// What keeps the optimiser from dropping work whose result nobody reads.
void use(std::string_view result) {
  asm volatile("" : : "r"(result.data()) : "memory");
}

/// As the server does: a buffer's worth at a time, wherever that cuts a character.
void ours(std::span<char> text, std::span<char> scratch) {
  Uppercaser uppercaser(Transform::unicode);
  for (std::size_t at = 0; at < text.size(); at += read_size)
    use(uppercaser.feed(text.subspan(at, std::min(read_size, text.size() - at)), scratch));
  use(uppercaser.finish(scratch));
}

void copy_chunks(std::span<const char> text, std::span<char> to, std::size_t chunk_size) {
  for (std::size_t at = 0; at < text.size(); at += chunk_size) {
    const std::size_t size = std::min(chunk_size, text.size() - at);
    std::memcpy(to.data() + at, text.data() + at, size);
    use({to.data() + at, size});
  }
}

#ifdef FORKECHO_BENCH_ICU
constexpr bool has_icu = true;

class Icu {
 public:
  Icu() {
    UErrorCode error = U_ZERO_ERROR;
    map_ = ucasemap_open("", 0, &error);
    if (U_FAILURE(error)) fail();
  }
  Icu(const Icu&) = delete;
  Icu& operator=(const Icu&) = delete;
  ~Icu() { ucasemap_close(map_); }

  /// It has no streams and sees whole characters only: a chunk ends before the one that it would
  /// cut. The result of each goes to `out`.
  void all(std::span<const char> text, std::span<char> out, std::size_t chunk_size) const {
    while (!text.empty()) {
      std::size_t size = std::min(chunk_size, text.size());
      while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
      use(out.first(chunk(text.first(size), out)));
      text = text.subspan(size);
    }
  }
  std::size_t chunk(std::span<const char> text, std::span<char> out) const {
    UErrorCode error = U_ZERO_ERROR;
    const auto size = ucasemap_utf8ToUpper(map_, out.data(), static_cast<int>(out.size()),
                                           text.data(), static_cast<int>(text.size()), &error);
    if (U_FAILURE(error)) fail();
    return static_cast<std::size_t>(size);
  }

 private:
  static void use(std::span<const char> result) { ::use({result.data(), result.size()}); }
  [[noreturn]] static void fail() {
    std::fputs("uppercase_bench: ICU fails\n", stderr);
    std::exit(EXIT_FAILURE);
  }

  UCaseMap* map_;
};

/// Whether both make the same of all that the text is made of.
bool same_as_icu(std::string_view text) {
  const std::string_view part = text.substr(0, std::min(period, text.size()) - read_size / 2);
  const std::size_t end = part.rfind('\n') + 1;
  std::string input(part.substr(0, end));
  std::string by_icu(3 * input.size(), '\0');
  by_icu.resize(Icu().chunk(input, by_icu));

  std::vector<char> scratch(Uppercaser::max_output(read_size));
  std::string by_us;
  Uppercaser uppercaser(Transform::unicode);
  for (std::size_t at = 0; at < input.size(); at += read_size)
    by_us += uppercaser.feed(std::span(input).subspan(at, std::min(read_size, input.size() - at)),
                             scratch);
  by_us += uppercaser.finish(scratch);
  return by_us == by_icu;
}
#else
constexpr bool has_icu = false;

struct Icu {
  void all(std::span<const char>, std::span<char>, std::size_t) const {}
};

bool same_as_icu(std::string_view) {
  return true;
}
#endif

// ---- rounds

struct Times {
  std::vector<double> copied, ours, icu;
};

void print_list(const char* name, const std::vector<double>& values) {
  std::printf(",\"%s\":[", name);
  for (std::size_t i = 0; i < values.size(); ++i)
    std::printf("%s%.6f", i == 0 ? "" : ",", values[i]);
  std::printf("]");
}

void print(const char* name, std::size_t bytes, double ascii, bool same, const Times& times) {
  std::printf("{\"text\":\"%s\",\"bytes\":%zu,\"ascii\":%.3f,\"has_icu\":%s,\"same_as_icu\":%s",
              name, bytes, ascii, has_icu ? "true" : "false", same ? "true" : "false");
  print_list("copy_s", times.copied);
  print_list("ours_s", times.ours);
  print_list("icu_s", times.icu);
  std::printf("}\n");
  std::fflush(stdout);
}

double share_of_ascii(std::string_view text) {
  const auto ascii =
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
  return static_cast<double>(ascii) / static_cast<double>(text.size());
}

/// The copy is the faster one of two: all at once, and a buffer's worth at a time.
double copy_time(std::span<const char> text, std::span<char> to) {
  const double whole = seconds([&] { copy_chunks(text, to, text.size()); });
  return std::min(whole, seconds([&] { copy_chunks(text, to, read_size); }));
}

/// Returns whether the results are ICU's.
bool compare(const char* name, const std::string& text, int rounds) {
  const bool same = same_as_icu(text);
  std::string work = text;
  std::vector<char> scratch(Uppercaser::max_output(read_size));
  const Icu icu;
  Times times;
  const std::array<std::function<void()>, 3> turns = {
      [&] { times.copied.push_back(copy_time(text, work)); },
      [&] {
        work = text;  // it maps in place
        times.ours.push_back(seconds([&] { ours(work, scratch); }));
      },
      [&] {
        if (has_icu) times.icu.push_back(seconds([&] { icu.all(text, scratch, read_size); }));
      }};
  for (std::size_t round = 0; round < static_cast<std::size_t>(rounds); ++round) {
    for (std::size_t turn = 0; turn < turns.size(); ++turn) turns[(round + turn) % turns.size()]();
  }
  print(name, text.size(), share_of_ascii(text), same, times);
  return same;
}

/// One buffer of ASCII again and again, so that no memory but the processor's cache is in it.
void compare_in_cache(int rounds) {
  std::string buffer = text_in(scripts[0], read_size);
  std::string other = buffer;
  std::vector<char> scratch(Uppercaser::max_output(read_size));
  Times times;
  for (int round = 0; round < rounds; ++round) {
    times.copied.push_back(seconds([&] {
      for (std::size_t done = 0; done < large; done += read_size)
        copy_chunks(buffer, other, read_size);
    }));
    times.ours.push_back(seconds([&] {
      for (std::size_t done = 0; done < large; done += read_size) ours(buffer, scratch);
    }));
  }
  print("ASCII, one buffer", large, 1, true, times);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc == 2 ? std::atoi(argv[1]) : 0;
  if (rounds < 1) {
    std::fputs("usage: uppercase_bench ROUNDS\n", stderr);
    return 64;
  }
  bool same = compare("ASCII", text_in(scripts[0], large), rounds);
  same = compare("mixed", mixed_text(large), rounds) && same;
  compare_in_cache(rounds);
  for (const Script& script : std::span(scripts).subspan(1))
    same = compare(script.name, text_in(script, small), rounds) && same;
  return same ? 0 : EXIT_FAILURE;
}
