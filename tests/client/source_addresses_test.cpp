#include "client/source_addresses.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <set>

namespace forkecho::client {
namespace {

sys::SocketAddress address(const char* text) {
  return sys::resolve(text).addresses.at(0);
}

LoadPlan plan_of(Workload workload) {
  LoadPlan plan;
  plan.workload = workload;
  return plan;
}

TEST(SourceAddresses, SpreadCrrOverLoopback) {
  std::set<std::string> seen;
  for (unsigned worker = 0; worker < 20; ++worker) {
    const SourceAddresses sources(plan_of(Workload::crr), address("127.0.0.1:9001"), worker);
    EXPECT_GE(sources.all().size(), 16U);
    for (const auto& source : sources.all()) {
      EXPECT_EQ(source.to_string().substr(0, 4), "127.");
      EXPECT_TRUE(seen.insert(source.to_string()).second) << source.to_string();
    }
  }
}

TEST(SourceAddresses, LeaveTheRestToTheKernel) {
  EXPECT_TRUE(SourceAddresses(plan_of(Workload::rr), address("127.0.0.1:9001"), 0).empty());
  EXPECT_TRUE(SourceAddresses(plan_of(Workload::crr), address("[::1]:9001"), 0).empty());
  EXPECT_TRUE(SourceAddresses(plan_of(Workload::crr), address("10.0.0.1:9001"), 0).empty());
  EXPECT_TRUE(SourceAddresses(plan_of(Workload::crr), address("unix:/tmp/x.sock"), 0).empty());
}

TEST(SourceAddresses, BindToOneAfterTheOther) {
  SourceAddresses sources(plan_of(Workload::crr), address("127.0.0.1:9001"), 3);
  std::set<std::string> bound;
  for (std::size_t i = 0; i < sources.all().size(); ++i) {
    const sys::Descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_TRUE(sources.bind_next(fd.get()));
    bound.insert(sys::SocketAddress::local(fd.get()).to_string());
    EXPECT_EQ(sys::SocketAddress::local(fd.get()).port(), 0);  // chosen at connect
  }
  EXPECT_EQ(bound.size(), sources.all().size());
}

std::vector<std::string> found(const std::string& text, std::size_t most = 1000) {
  std::vector<std::string> names;
  for (const auto& one : find_sources(text, most).addresses) names.push_back(one.to_string());
  return names;
}

TEST(SourceAddresses, GivenRangeIsWhatIsOfThisMachine) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(found("127.3.4.5"), (Names{"127.3.4.5:0"}));
  EXPECT_EQ(found("127.3.4.5/30"), (Names{"127.3.4.5:0", "127.3.4.6:0", "127.3.4.7:0"}));
  EXPECT_EQ(found("127.0.0.0/8", 3), (Names{"127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"}));
  EXPECT_EQ(found("::/120"), (Names{"[::]:0", "[::1]:0"}));
  EXPECT_EQ(found("127.0.255.255/32"), (Names{"127.0.255.255:0"}));
}

TEST(SourceAddresses, GivenRangeThatIsNoneIsToldSo) {
  for (const char* text :
       {"", "x", "127.0.0.1/33", "127.0.0.1/", "127.0.0.1/x", "127.0.0/8", "::1/129"}) {
    EXPECT_NE(find_sources(text, 1).error.find("is no range of addresses"), std::string::npos)
        << text;
  }
  // Nobody has addresses of what was once class E.
  EXPECT_NE(find_sources("240.0.0.0/28", 1).error.find("no address of this machine"),
            std::string::npos);
}

TEST(SourceAddresses, WorkersShareWhatIsGiven) {
  const auto given = find_sources("127.0.0.0/8", 5).addresses;
  EXPECT_EQ(SourceAddresses(given, 2, 0).all().size(), 3U);
  EXPECT_EQ(SourceAddresses(given, 2, 1).all().size(), 2U);
  EXPECT_EQ(SourceAddresses(given, 8, 7).all().size(), 1U);
}

}  // namespace
}  // namespace forkecho::client
