#include "server/source.h"

#include <gtest/gtest.h>

#include "tests/server/peers.h"

namespace forkecho::server {
namespace {

TEST(Source, AnIpv4ClientIsItsAddressWhateverItsPort) {
  EXPECT_EQ(source_of(peer("10.0.0.7", 1)), source_of(peer("10.0.0.7", 2)));
  EXPECT_NE(source_of(peer("10.0.0.7")), source_of(peer("10.0.0.8")));
}

TEST(Source, AMappedAddressIsTheIpv4One) {
  EXPECT_EQ(source_of(peer("::ffff:10.0.0.7")), source_of(peer("10.0.0.7")));
  EXPECT_NE(source_of(peer("::ffff:10.0.0.8")), source_of(peer("10.0.0.7")));
}

TEST(Source, AnIpv6ClientIsIts64) {
  EXPECT_EQ(source_of(peer("2001:db8:1:2::1")),
            source_of(peer("2001:db8:1:2:ffff:ffff:ffff:ffff")));
  EXPECT_NE(source_of(peer("2001:db8:1:2::1")), source_of(peer("2001:db8:1:3::1")));
  EXPECT_NE(source_of(peer("::1")), source_of(peer("127.0.0.1")));
}

TEST(Source, UnixClientsAreNotCounted) {
  PeerAddress unix_peer{};
  unix_peer.family = AF_UNIX;
  EXPECT_EQ(source_of(unix_peer), Source::uncounted);
  EXPECT_EQ(source_of(PeerAddress{}), Source::uncounted);
}

TEST(Source, Text) {
  EXPECT_EQ(source_text(source_of(peer("10.0.0.7"))), "10.0.0.7");
  EXPECT_EQ(source_text(source_of(peer("::ffff:10.0.0.7"))), "10.0.0.7");
  EXPECT_EQ(source_text(source_of(peer("2001:db8:1:2::9"))), "2001:db8:1:2::/64");
  EXPECT_EQ(source_text(source_of(peer("::1"))), "::/64");
  EXPECT_EQ(source_text(Source::uncounted), "");
}

}  // namespace
}  // namespace forkecho::server
