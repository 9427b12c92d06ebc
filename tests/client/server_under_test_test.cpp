#include "client/server_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "client/temporary_directory.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ServerUnderTestTest : public testing::Test {
 protected:
  void TearDown() override { unsetenv("FORKECHOD_DOUBLE"); }
  static void behave(const char* how) { setenv("FORKECHOD_DOUBLE", how, 1); }
  ServerUnderTest make() {
    return ServerUnderTest({.name = "fork",
                            .program = FORKECHOD_DOUBLE_PATH,
                            .directory = directory_.path(),
                            .options = {"--mode", "fork"}});
  }
  static sys::Deadline soon() { return sys::Deadline::after(20s); }
  static bool lives(pid_t pid) { return kill(pid, 0) == 0; }
  std::string message_of_start() {
    auto server = make();
    try {
      server.start(soon());
    } catch (const ServerCannotStart& error) {
      return error.what();
    }
    return "it started";
  }

  TemporaryDirectory directory_;
};

TEST_F(ServerUnderTestTest, StartsOnAPortOfTheKernelsChoiceAndStops) {
  auto server = make();
  server.start(soon());
  EXPECT_TRUE(server.address().starts_with("127.0.0.1:")) << server.address();
  EXPECT_NE(server.address(), "127.0.0.1:0");
  EXPECT_TRUE(lives(server.pid()));
  EXPECT_TRUE(server.stop(soon()));
  EXPECT_FALSE(lives(server.pid()));
}

TEST_F(ServerUnderTestTest, SaysWhyItDidNotStart) {
  behave("dies");
  EXPECT_THAT(message_of_start(),
              HasSubstr("(fork) ended at once: cannot listen: the double was told to die"));
}

TEST_F(ServerUnderTestTest, DoesNotWaitForEverForAServerThatIsSilent) {
  behave("silent");
  auto server = make();
  EXPECT_THROW(server.start(sys::Deadline::after(300ms)), ServerCannotStart);
}

TEST_F(ServerUnderTestTest, KillsWhatDoesNotStop) {
  behave("stubborn");
  auto server = make();
  server.start(soon());
  EXPECT_FALSE(server.stop(sys::Deadline::after(300ms)));
  EXPECT_FALSE(lives(server.pid()));
}

TEST_F(ServerUnderTestTest, EndsWithItsOwner) {
  pid_t pid = 0;
  {
    auto server = make();
    server.start(soon());
    pid = server.pid();
    EXPECT_TRUE(lives(pid));
  }
  EXPECT_FALSE(lives(pid));
}

TEST(ParseServerStatus, ReadsPidAndFirstAddress) {
  const auto status =
      parse_server_status(R"({"pid":7,"listen":["127.0.0.1:1","[::1]:2"],"x":null})");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->pid, 7);
  EXPECT_EQ(status->address, "127.0.0.1:1");
}

TEST(ParseServerStatus, ReadsForksAndEachProcessesConnections) {
  const auto read = [](const std::string& rest) {
    return parse_server_status(R"({"pid":7,"listen":["a"],)" + rest + "}").value();
  };
  const auto status = read(R"("children":{"forked":12},"slots_omitted":0,
    "slots":[{"pid":8,"connections":3},{"pid":9,"connections":0}])");
  EXPECT_EQ(status.forked, 12U);
  EXPECT_EQ(status.connections, (std::map<pid_t, std::uint64_t>{{8, 3}, {9, 0}}));
  EXPECT_TRUE(read(R"("slots_omitted":2,"slots":[{"pid":8,"connections":3}])").connections.empty());
  EXPECT_TRUE(
      read(R"("slots_omitted":0,"slots":[{"pid":"x","connections":3}])").connections.empty());
  EXPECT_FALSE(read(R"("children":[])").forked);
}

TEST(ParseServerStatus, RefusesWhatIsNoStatus) {
  for (const char* text : {"", "{", "[]", "{}", R"({"pid":"7","listen":["a"]})", R"({"pid":7})",
                           R"({"pid":7,"listen":[]})", R"({"pid":7,"listen":[1]})"}) {
    EXPECT_FALSE(parse_server_status(text)) << text;
  }
}

}  // namespace
}  // namespace forkecho::client
