#include "server/connection_title.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "tests/support/child.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

/// What ps would show of a process with this peer in its title.
std::string title_with(const PeerAddress& peer) {
  const tests::Pipe pipe;
  const pid_t child = tests::start_child([&] {
    show_in_title(peer);
    // Read from the file, not from memory: this is what ps sees.
    const std::string title = tests::content_of("/proc/self/cmdline");
    return write(pipe.write.get(), title.c_str(), std::string(title.c_str()).size()) > 0 ? 0 : 1;
  });
  EXPECT_EQ(tests::exitcode_of(child), 0);
  char title[256] = {};
  EXPECT_GT(read(pipe.read.get(), title, sizeof title - 1), 0);
  return title;
}

PeerAddress peer_of(const char* text) {
  const auto address = tests::address_of(text);
  sockaddr_storage storage{};
  std::memcpy(&storage, address.get(), address.length());
  return PeerAddress::of(storage);
}

TEST(ConnectionTitle, NamesTheClient) {
  EXPECT_EQ(title_with(peer_of("127.0.0.1:40112")), "forkechod: serving 127.0.0.1:40112");
  EXPECT_EQ(title_with(peer_of("[::1]:7")), "forkechod: serving [::1]:7");
  EXPECT_EQ(title_with(peer_of("unix:/x")), "forkechod: serving unix:");
}

}  // namespace
}  // namespace forkecho::server
