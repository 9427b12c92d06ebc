#include "common/sys/socket_address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <stdexcept>

#include "common/sys/check_syscall.h"

namespace forkecho::sys {
namespace {

SocketAddress resolved(const char* text) {
  const ResolvedAddresses result = resolve(text);
  EXPECT_EQ(result.error, "");
  return result.addresses.empty() ? SocketAddress() : result.addresses.front();
}

TEST(SocketAddress, ReadsAndWritesTheSameForm) {
  for (const char* text :
       {"127.0.0.1:9001", "0.0.0.0:0", "[::1]:65535", "[::]:80", "unix:/run/x.sock"}) {
    EXPECT_EQ(resolved(text).to_string(), text);
  }
}

TEST(SocketAddress, KnowsFamilyAndPort) {
  EXPECT_EQ(resolved("127.0.0.1:9001").family(), AF_INET);
  EXPECT_EQ(resolved("127.0.0.1:9001").port(), 9001);
  EXPECT_EQ(resolved("[::1]:9002").family(), AF_INET6);
  EXPECT_EQ(resolved("[::1]:9002").port(), 9002);
  EXPECT_TRUE(resolved("unix:a").is_unix());
  EXPECT_EQ(resolved("unix:a").port(), 0);
}

TEST(SocketAddress, AnEmptyHostAndAStarAreEveryAddress) {
  EXPECT_EQ(resolved(":9001").to_string(), "0.0.0.0:9001");
  EXPECT_EQ(resolved("*:9001").to_string(), "0.0.0.0:9001");
}

TEST(SocketAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "9001", "localhost", "localhost:", "localhost:x", "localhost:65536",
                           "localhost:-1", "localhost:80x", "::1:80", "unix:"}) {
    const ResolvedAddresses result = resolve(text);
    EXPECT_TRUE(result.malformed) << text;
    EXPECT_TRUE(result.addresses.empty()) << text;
    EXPECT_NE(result.error, "") << text;
  }
}

TEST(SocketAddress, ANameThatCannotExistIsNotMalformed) {
  // A label of 64 bytes fits into no question to a name server (RFC 1035), so none is asked.
  const ResolvedAddresses result = resolve(std::string(64, 'x') + ":80");
  EXPECT_FALSE(result.malformed);
  EXPECT_TRUE(result.addresses.empty());
  EXPECT_NE(result.error.find("cannot resolve"), std::string::npos);
}

TEST(SocketAddress, AnErrorIsOneLineWhateverItQuotes) {
  for (const char* text : {"a\nb:80", "a\r\x1b[2J", "\x7f\x01"})
    EXPECT_EQ(resolve(text).error.find_first_of("\n\r\x1b\x7f\x01"), std::string::npos) << text;
}

TEST(SocketAddress, AUnixPathHoldsNoNul) {
  EXPECT_TRUE(resolve(std::string_view("unix:/run/a\0b", 13)).malformed);
}

TEST(SocketAddress, AUnixPathEndsBeforeItsRoom) {
  EXPECT_EQ(SocketAddress::of_unix_path(std::string(107, 'p')).path(), std::string(107, 'p'));
  EXPECT_THROW(SocketAddress::of_unix_path(std::string(108, 'p')), std::invalid_argument);
  EXPECT_TRUE(resolve("unix:" + std::string(108, 'p')).malformed);
}

TEST(SocketAddress, ASocketTellsBothOfItsEnds) {
  const Descriptor listener(
      check_syscall(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const SocketAddress any = resolved("127.0.0.1:0");
  check_syscall(bind(listener.get(), any.get(), any.length()), "bind");
  check_syscall(listen(listener.get(), 1), "listen");
  const SocketAddress bound = SocketAddress::local(listener.get());
  EXPECT_NE(bound.port(), 0);

  const Descriptor client(check_syscall(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  check_syscall(connect(client.get(), bound.get(), bound.length()), "connect");
  EXPECT_EQ(SocketAddress::peer(client.get()).to_string(), bound.to_string());
  EXPECT_THROW(SocketAddress::peer(listener.get()), std::system_error);
}

TEST(SocketAddress, AnUnnamedUnixPeerHasNoPath) {
  int pair[2];
  check_syscall(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
  const Descriptor one(pair[0]);
  const Descriptor other(pair[1]);
  EXPECT_EQ(SocketAddress::peer(one.get()).path(), "");
  EXPECT_EQ(SocketAddress::peer(one.get()).to_string(), "unix:");
}

}  // namespace
}  // namespace forkecho::sys
