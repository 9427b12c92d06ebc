// common/mp/examples/pi_by_redis.cpp, with a Redis of the test's own.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "tests/examples/pi_figures.h"
#include "tests/support/proves.h"

namespace forkecho::tests {
namespace {

bool listens(const std::string& path) {
  const sys::Descriptor socket(
      sys::check_syscall(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

/// On a unix socket, without a port, and with nothing on the disk.
class RedisServer {
 public:
  RedisServer()
      : program_(REDIS_SERVER_PATH, {"--port", "0", "--unixsocket", socket(), "--dir",
                                     directory_.path(""), "--save", "", "--appendonly", "no"}) {}
  std::string socket() const { return directory_.path("redis"); }
  bool starts() const {
    return eventually(patience(), [&] { return listens(socket()); });
  }
  std::optional<int> stop() {
    program_.signal(SIGTERM);
    return program_.wait();
  }

 private:
  TempDir directory_;
  Program program_;
};

TEST(PiByRedis, AddsInTheSlicesOrder) {
  PROVES("4.6");
  RedisServer redis;
  ASSERT_TRUE(redis.starts());
  for (int round = 0; round < 2; ++round) {  // the second finds no results of the first
    const Shown shown = run_example("pi_by_redis", {small_terms, redis.socket()});
    expect_figures(shown, "ten processes, Redis", small_by_one, small_by_ten);
    EXPECT_TRUE(shown.ends_with_the_document());
  }
  EXPECT_EQ(redis.stop(), 0);
}

TEST(PiByRedis, SaysWhenNoRedisAnswers) {
  const TempDir directory;
  const Shown shown = run_example("pi_by_redis", {"10", directory.path("nobody")});
  EXPECT_EQ(shown.exitcode, 1);
  EXPECT_TRUE(is_one_line(shown.err)) << shown.err;
}

}  // namespace
}  // namespace forkecho::tests
