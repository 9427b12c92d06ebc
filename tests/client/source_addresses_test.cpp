#include "client/source_addresses.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <set>

namespace forkecho::client {
namespace {

sys::SocketAddress address(const char* text) {
  return sys::resolve(text).addresses.at(0);
}

TEST(SourceAddresses, SpreadCrrOverLoopback) {
  std::set<std::string> seen;
  for (unsigned worker = 0; worker < 20; ++worker) {
    const SourceAddresses sources(Workload::crr, address("127.0.0.1:9001"), worker);
    EXPECT_GE(sources.all().size(), 16U);
    for (const auto& source : sources.all()) {
      EXPECT_EQ(source.to_string().substr(0, 4), "127.");
      EXPECT_TRUE(seen.insert(source.to_string()).second) << source.to_string();
    }
  }
}

TEST(SourceAddresses, LeaveTheRestToTheKernel) {
  EXPECT_TRUE(SourceAddresses(Workload::rr, address("127.0.0.1:9001"), 0).empty());
  EXPECT_TRUE(SourceAddresses(Workload::crr, address("[::1]:9001"), 0).empty());
  EXPECT_TRUE(SourceAddresses(Workload::crr, address("10.0.0.1:9001"), 0).empty());
  EXPECT_TRUE(SourceAddresses(Workload::crr, address("unix:/tmp/x.sock"), 0).empty());
}

TEST(SourceAddresses, BindToOneAfterTheOther) {
  SourceAddresses sources(Workload::crr, address("127.0.0.1:9001"), 3);
  std::set<std::string> bound;
  for (std::size_t i = 0; i < sources.all().size(); ++i) {
    const sys::Descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_TRUE(sources.bind_next(fd.get()));
    bound.insert(sys::SocketAddress::local(fd.get()).to_string());
    EXPECT_EQ(sys::SocketAddress::local(fd.get()).port(), 0);  // chosen at connect
  }
  EXPECT_EQ(bound.size(), sources.all().size());
}

}  // namespace
}  // namespace forkecho::client
