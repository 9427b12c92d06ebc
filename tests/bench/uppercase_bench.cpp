// How fast the server uppercases, beside memcpy and ICU. Run by a person or by `./dev bench`, not
// by ctest: the figures mean something only while nothing else runs. Takes some 2.5 GB of memory.
//
//     uppercase_bench [rounds]
//
// The contestants take turns, and each one's best round counts. Everything is read from memory that
// the contestant has not seen in that round; GB/s are 10^9 bytes of input per second.
#include <unicode/ucasemap.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/uppercase.h"

namespace {

using forkecho::server::Transform;
using forkecho::server::Uppercaser;

constexpr std::size_t read_size = 64 << 10;
constexpr std::size_t ascii_size = 1 << 30;
constexpr std::size_t text_size = 64 << 20;

struct Text {
  std::string_view name;
  std::string_view sentence;
};

constexpr Text texts[] = {
    {"English", "The quick brown fox jumps over the lazy dog, and nobody asks what it costs.\n"},
    {"German", "Zwölf große Boxkämpfer jagen Viktor quer über den Sylter Deich; schöne Grüße!\n"},
    {"French", "Dès Noël, où un zéphyr haï me vêt de glaçons würmiens, je dîne d'exquis rôtis.\n"},
    {"Turkish", "Pijamalı hasta, yağız şoföre çabucak güvendi; ışık ılık ılık akıyordu.\n"},
    {"Greek", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, και κανείς δεν ρωτά τι κοστίζει.\n"},
    {"Russian", "Съешь же ещё этих мягких французских булок, да выпей чаю, мой друг.\n"},
    {"Georgian", "სწრაფი ყავისფერი მელა ახტება ზარმაც ძაღლს და არავინ კითხულობს ფასს.\n"},
    {"Japanese", "いろはにほへと ちりぬるを、色は匂へど散りぬるを我が世誰ぞ常ならむ。\n"},
    {"Deseret", "𐐜 𐐿𐐶𐐮𐐿 𐐺𐑉𐐵𐑌 𐑁𐐱𐐿𐑅 𐐾𐐲𐑋𐐹𐑅 𐐬𐑂𐐲𐑉 𐑄 𐑊𐐩𐑆𐐨 𐐼𐐱𐑀.\n"},
};

std::string repeat(std::string_view sentence, std::size_t size) {
  std::string text;
  text.reserve(size + sentence.size());
  while (text.size() < size) text += sentence;
  return text;
}

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// What keeps the optimiser from dropping work whose result nobody reads.
void use(std::string_view result) {
  asm volatile("" : : "r"(result.data()) : "memory");
}

void feed_all(std::span<char> text, std::size_t chunk_size, std::span<char> scratch) {
  Uppercaser uppercaser(Transform::unicode);
  for (std::size_t at = 0; at < text.size(); at += chunk_size) {
    use(uppercaser.feed(text.subspan(at, std::min(chunk_size, text.size() - at)), scratch));
  }
}

void icu_all(const UCaseMap* map, std::span<const char> text, std::size_t chunk_size,
             std::span<char> scratch) {
  for (std::size_t at = 0; at < text.size(); at += chunk_size) {
    const auto chunk = text.subspan(at, std::min(chunk_size, text.size() - at));
    UErrorCode error = U_ZERO_ERROR;
    const auto size = ucasemap_utf8ToUpper(map, scratch.data(), static_cast<int>(scratch.size()),
                                           chunk.data(), static_cast<int>(chunk.size()), &error);
    if (U_FAILURE(error)) std::exit(EXIT_FAILURE);
    use({scratch.data(), static_cast<std::size_t>(size)});
  }
}

class Best {
 public:
  void add(double seconds_taken, std::size_t bytes) {
    rate_ = std::max(rate_, static_cast<double>(bytes) / seconds_taken / 1e9);
  }
  double rate() const { return rate_; }

 private:
  double rate_ = 0;
};

void compare_with_memcpy(int rounds) {
  std::string text = repeat(texts[0].sentence, ascii_size);
  std::string copy(text.size(), '\0');
  std::vector<char> scratch(Uppercaser::max_output(text.size()));  // never touched
  Best memcpy_best, whole_best, chunks_best;
  for (int round = 0; round < rounds; ++round) {
    memcpy_best.add(seconds([&] {
                      use({static_cast<char*>(std::memcpy(copy.data(), text.data(), text.size())),
                           text.size()});
                    }),
                    text.size());
    whole_best.add(seconds([&] { feed_all(copy, copy.size(), scratch); }), copy.size());
    std::memcpy(copy.data(), text.data(), text.size());
    chunks_best.add(seconds([&] { feed_all(copy, read_size, scratch); }), copy.size());
  }
  std::printf("ASCII, 1 GiB            GB/s  of memcpy\n");
  std::printf("memcpy                %6.2f\n", memcpy_best.rate());
  std::printf("ours, one chunk       %6.2f  %9.2f\n", whole_best.rate(),
              whole_best.rate() / memcpy_best.rate());
  std::printf("ours, 64 KiB chunks   %6.2f  %9.2f\n\n", chunks_best.rate(),
              chunks_best.rate() / memcpy_best.rate());
}

void compare_with_icu(const UCaseMap* map, const Text& text, int rounds) {
  const std::string original = repeat(text.sentence, text_size);
  std::string copy = original;
  std::vector<char> scratch(Uppercaser::max_output(read_size));
  // ICU sees whole characters only, it has no streams.
  const std::size_t whole_sentences = read_size - read_size % text.sentence.size();
  Best ours, ours_cut, icu;
  for (int round = 0; round < rounds; ++round) {
    icu.add(seconds([&] { icu_all(map, copy, whole_sentences, scratch); }), copy.size());
    ours.add(seconds([&] { feed_all(copy, whole_sentences, scratch); }), copy.size());
    copy = original;
    ours_cut.add(seconds([&] { feed_all(copy, read_size, scratch); }), copy.size());
    copy = original;
  }
  std::printf("%-10.*s %10.2f %10.2f %10.2f %10.1f\n", static_cast<int>(text.name.size()),
              text.name.data(), ours.rate(), ours_cut.rate(), icu.rate(), ours.rate() / icu.rate());
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 5;
  compare_with_memcpy(rounds);

  UErrorCode error = U_ZERO_ERROR;
  UCaseMap* map = ucasemap_open("", 0, &error);
  if (U_FAILURE(error)) return EXIT_FAILURE;
  std::printf("64 MiB in chunks of 64 KiB, GB/s of input\n");
  std::printf("%-10s %10s %10s %10s %10s\n", "text", "ours", "cut", "ICU", "ours/ICU");
  for (const Text& text : texts) compare_with_icu(map, text, rounds);
  std::printf("(cut: the ends of the chunks cut characters)\n");
  ucasemap_close(map);
}
