#include "server/connection_title.h"

#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "common/sys/process_title.h"

namespace forkecho::server {
namespace {

constexpr std::string_view prefix = "forkechod: serving ";

[[gnu::always_inline]] inline void put(volatile char& place, char letter) {
  place = letter;
}

/// Letter by letter, as part of the instructions: read from the program's constants, they would be
/// one more page to fault in.
template <std::size_t... Index>
[[gnu::always_inline]] inline void write_prefix(volatile char* out, std::index_sequence<Index...>) {
  (put(out[Index], prefix[Index]), ...);
}

}  // namespace

[[gnu::hot]] void show_in_title(const PeerAddress& peer) {
  std::array<char, prefix.size() + PeerAddress::longest_text> title;
  write_prefix(title.data(), std::make_index_sequence<prefix.size()>());
  const std::size_t length = peer.format(std::span(title).subspan<prefix.size()>());
  sys::set_process_title({title.data(), prefix.size() + length});
}

}  // namespace forkecho::server
