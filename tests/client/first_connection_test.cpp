#include "client/first_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/mp/process.h"
#include "tests/support/echo_double.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

sys::Deadline at_once() {
  return sys::Deadline::after(0ns);
}

TEST(FirstConnection, IsMadeWhereSomebodyListens) {
  const testing::EchoDouble server;
  const FirstConnection connection = connect_first(server.target(), 1s, at_once());
  EXPECT_TRUE(connection.socket);
  EXPECT_EQ(connection.address.to_string(), server.target());
  EXPECT_GT(connection.connect_time, 0ns);
  EXPECT_EQ(connection.error, "");
}

TEST(FirstConnection, TellsWhyThereIsNoneAndWhatToDo) {
  const testing::UnansweredTarget nobody;
  const std::string target = nobody.text();
  const FirstConnection connection = connect_first(target, 1s, at_once());
  EXPECT_FALSE(connection.socket);
  EXPECT_FALSE(connection.malformed);
  EXPECT_EQ(connection.error,
            "nothing answers at " + target +
                ": Connection refused; start the daemon with: forkechod start --listen " + target);
}

TEST(FirstConnection, TellsAMissingUnixSocket) {
  const FirstConnection connection = connect_first("unix:/nonexistent/x.sock", 1s, at_once());
  EXPECT_THAT(connection.error,
              HasSubstr("nothing answers at unix:/nonexistent/x.sock: No such file"));
}

TEST(FirstConnection, MalformedTargetIsNotTriedAgain) {
  const FirstConnection connection = connect_first("nonsense", 1s, sys::Deadline::never());
  EXPECT_TRUE(connection.malformed);
  EXPECT_THAT(connection.error, HasSubstr("'nonsense' is no address"));
}

TEST(FirstConnection, IsTriedAgainAsLongAsItMay) {
  const std::string path =
      ::testing::TempDir() + "forkecho-first-" + std::to_string(getpid()) + ".sock";
  mp::Process late([path] {
    const timespec pause{.tv_sec = 0, .tv_nsec = 200'000'000};
    nanosleep(&pause, nullptr);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const auto address = sys::SocketAddress::of_unix_path(path);
    if (bind(fd, address.get(), address.length()) != 0 || listen(fd, 1) != 0) mp::leave(1);
    mp::leave(accept(fd, nullptr, nullptr) >= 0 ? 0 : 2);
  });
  late.start();
  const FirstConnection connection = connect_first("unix:" + path, 1s, sys::Deadline::after(30s));
  EXPECT_TRUE(connection.socket) << connection.error;
  late.join();
  EXPECT_EQ(late.exitcode(), 0);
  unlink(path.c_str());
}

}  // namespace
}  // namespace forkecho::client
