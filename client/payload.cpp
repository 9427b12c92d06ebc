#include "client/payload.h"

#include <algorithm>
#include <random>
#include <string_view>

#include "client/unicode_pairs.h"

namespace forkecho::client {
namespace {

constexpr std::string_view ascii_letters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789     ";
constexpr std::size_t letters = 26;
constexpr std::size_t block_size = 99'991;  // a prime

std::string ascii_upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

// mt19937's numbers are fixed by the standard; the distributions' are not, hence the remainder.
std::size_t pick(std::mt19937& random, std::size_t choices) {
  return random() % choices;
}

std::string ascii_text(std::mt19937& random, std::size_t size) {
  std::string text(size, '\0');
  std::generate(text.begin(), text.end(),
                [&] { return ascii_letters[pick(random, ascii_letters.size())]; });
  return text;
}

Exchange ascii_exchange(std::mt19937& random, std::size_t size) {
  const std::string text = ascii_text(random, size);
  return {text, ascii_upper(text)};
}

Exchange unicode_exchange(std::mt19937& random, std::size_t size) {
  Exchange exchange;
  const auto pairs = unicode_pairs();
  while (exchange.request.size() < size) {
    const UnicodePair& pair = pairs[pick(random, pairs.size())];
    if (pair.text.size() > size - exchange.request.size()) break;
    exchange.request += pair.text;
    exchange.reply += pair.upper;
  }
  const Exchange rest = ascii_exchange(random, size - exchange.request.size());
  return {exchange.request + rest.request, exchange.reply + rest.reply};
}

Exchange random_exchange(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(pick(random, 256)); });
  return {bytes, bytes};
}

Exchange small_exchange(std::mt19937& random, Payload payload, std::size_t size) {
  if (payload == Payload::random) return random_exchange(random, size);
  return payload == Payload::ascii ? ascii_exchange(random, size) : unicode_exchange(random, size);
}

/// Of exchange `i` of `count`: another one than that of its neighbours, also around the end.
char first_letter(std::size_t i, std::size_t count) {
  const bool last_is_as_first = i + 1 == count && i % letters == 0;
  return ascii_letters[last_is_as_first ? 1 : i % letters];
}

/// Long ones repeat a block, of a length that is no multiple of anybody's buffer.
Exchange long_exchange(std::mt19937& random, Payload payload, std::size_t size) {
  Exchange whole;
  if (size > block_size) {
    const Exchange block = small_exchange(random, payload, block_size);
    while (size - whole.request.size() > block_size) {
      whole.request += block.request;
      whole.reply += block.reply;
    }
  }
  const Exchange rest = small_exchange(random, payload, size - whole.request.size());
  return {whole.request + rest.request, whole.reply + rest.reply};
}

std::string expected_reply(Expect expect, const Exchange& exchange) {
  switch (expect) {
    case Expect::unicode:
      return exchange.reply;
    case Expect::ascii:
      return ascii_upper(exchange.request);
    case Expect::none:
      return exchange.request;
  }
  return {};
}

}  // namespace

std::vector<Exchange> make_exchanges(Payload payload, Expect expect,
                                     const std::vector<std::size_t>& sizes) {
  std::mt19937 random;
  std::vector<Exchange> exchanges(sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::string first(1, first_letter(i, sizes.size()));
    const Exchange rest = long_exchange(random, payload, sizes[i] - 1);
    const Exchange whole{first + rest.request, ascii_upper(first) + rest.reply};
    exchanges[i] = {whole.request, expected_reply(expect, whole)};
  }
  return exchanges;
}

std::vector<Exchange> make_exchanges(const LoadPlan& plan) {
  return make_exchanges(plan.payload, plan.expect, plan.size.draw());
}

}  // namespace forkecho::client
