#include "server/cidr.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/peers.h"

namespace forkecho::server {
namespace {

Cidr block(const std::string& text) {
  const ParsedCidr parsed = parse_cidr(text);
  EXPECT_EQ(parsed.error, "") << text;
  return parsed.cidr;
}

TEST(ParseCidr, Contains) {
  struct Case {
    const char* block;
    const char* inside;
    const char* outside;
  };
  for (const Case& c : {
           Case{"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
           Case{"10.0.0.0/8", "10.0.0.0", "9.255.255.255"},
           Case{"192.168.4.0/23", "192.168.5.255", "192.168.6.0"},
           Case{"192.168.4.0/23", "192.168.4.0", "192.168.3.255"},
           Case{"10.1.2.3", "10.1.2.3", "10.1.2.2"},
           Case{"10.1.2.3/32", "10.1.2.3", "10.1.2.4"},
           Case{"10.1.2.2/31", "10.1.2.3", "10.1.2.4"},
           Case{"0.0.0.0/0", "255.1.2.3", "2001:db8::1"},
           Case{"128.0.0.0/1", "200.1.1.1", "127.0.0.1"},
           Case{"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
           Case{"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
           Case{"::1", "::1", "::2"},
           Case{"::/1", "7fff::", "8000::"},
           Case{"fe80::/10", "febf::1", "fec0::1"},
           Case{"10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"},
           Case{"::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"},
       }) {
    EXPECT_TRUE(block(c.block).contains(peer(c.inside))) << c.block << " " << c.inside;
    EXPECT_FALSE(block(c.block).contains(peer(c.outside))) << c.block << " " << c.outside;
  }
  EXPECT_TRUE(block("::/0").contains(peer("10.0.0.1")));  // all there is
}

TEST(ParseCidr, EveryPrefixLengthCutsWhereItSays) {
  for (unsigned bits = 1; bits <= 32; ++bits) {
    const std::uint32_t network = 1U << (32 - bits);
    const auto text = [](std::uint32_t a) {
      return std::to_string(a >> 24) + "." + std::to_string(a >> 16 & 255) + "." +
             std::to_string(a >> 8 & 255) + "." + std::to_string(a & 255);
    };
    const Cidr cidr = block(text(network) + "/" + std::to_string(bits));
    const std::uint32_t last = network + (network - 1);
    EXPECT_TRUE(cidr.contains(peer(text(network)))) << bits;
    EXPECT_TRUE(cidr.contains(peer(text(last)))) << bits;
    EXPECT_FALSE(cidr.contains(peer(text(network - 1)))) << bits;
    EXPECT_FALSE(cidr.contains(peer(text(last + 1)))) << bits;
  }
}

TEST(ParseCidr, AUnixClientIsInNoBlock) {
  PeerAddress unix_peer{};
  unix_peer.family = AF_UNIX;
  EXPECT_FALSE(block("::/0").contains(unix_peer));
}

TEST(ParseCidr, Errors) {
  for (const char* text :
       {"", "/", "/8", "10.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8",
        "10.0.0.0/ 8", "10.0.0.0/8x", "10.0.0.256", "2001:db8::/129", "2001:db8:::/32", "localhost",
        "10.0.0.0/99999999999999999999", "::1%lo", " 10.0.0.1", "10.0.0.0/+8"}) {
    const std::string error = parse_cidr(text).error;
    EXPECT_EQ(error.rfind("'" + std::string(text) + "'", 0), 0U) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos);
  }
}

TEST(ParseCidr, BitsBehindThePrefixNameTheBlockThatWasMeant) {
  EXPECT_NE(parse_cidr("10.0.0.7/8").error.find("10.0.0.0/8 was probably meant"),
            std::string::npos);
  EXPECT_NE(parse_cidr("2001:db8::1/32").error.find("2001:db8::/32 was"), std::string::npos);
  EXPECT_NE(parse_cidr("10.0.0.1/0").error.find("0.0.0.0/0 was"), std::string::npos);
}

TEST(Contains, AnyOfSeveral) {
  const std::vector<Cidr> blocks{block("10.0.0.0/8"), block("::1")};
  EXPECT_TRUE(contains(blocks, peer("10.9.9.9")));
  EXPECT_TRUE(contains(blocks, peer("::1")));
  EXPECT_FALSE(contains(blocks, peer("127.0.0.1")));
  EXPECT_FALSE(contains({}, peer("127.0.0.1")));
}

}  // namespace
}  // namespace forkecho::server
