#include "server/connection_title.h"

#include <array>
#include <span>
#include <string_view>

#include "common/sys/process_title.h"

namespace forkecho::server {

[[gnu::hot]] void show_in_title(const PeerAddress& peer) {
  constexpr std::string_view prefix = "forkechod: serving ";
  std::array<char, prefix.size() + PeerAddress::longest_text> title;
  prefix.copy(title.data(), prefix.size());
  const std::size_t length = peer.format(std::span(title).subspan<prefix.size()>());
  sys::set_process_title({title.data(), prefix.size() + length});
}

}  // namespace forkecho::server
