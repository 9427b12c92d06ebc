#include "server/socket_activation.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "server/exit_code.h"
#include "tests/support/child.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr pid_t self = 77;

FatalError error_of(const ListenVariables& variables) {
  try {
    parse_listen_variables(variables, self);
  } catch (const FatalError& error) {
    return error;
  }
  return {ExitCode::ok, ""};
}

TEST(ListenVariables, NameTheSocketsInTheirOrder) {
  EXPECT_THAT(parse_listen_variables({.pid = "77", .fds = "2", .names = "web:admin"}, self),
              ElementsAre("web", "admin"));
}

TEST(ListenVariables, MissingAndEmptyNamesAreUnknown) {
  EXPECT_THAT(parse_listen_variables({.pid = "77", .fds = "2", .names = nullptr}, self),
              ElementsAre("unknown", "unknown"));
  EXPECT_THAT(parse_listen_variables({.pid = "77", .fds = "3", .names = "a::"}, self),
              ElementsAre("a", "unknown", "unknown"));
  EXPECT_THAT(parse_listen_variables({.pid = "77", .fds = "1", .names = "a:b:c"}, self),
              ElementsAre("a"));
}

TEST(ListenVariables, ForAnotherProcessOrUnsetMeanNothing) {
  EXPECT_THAT(parse_listen_variables({}, self), IsEmpty());
  EXPECT_THAT(parse_listen_variables({.pid = "78", .fds = "1", .names = nullptr}, self), IsEmpty());
  EXPECT_THAT(parse_listen_variables({.pid = nullptr, .fds = "1", .names = nullptr}, self),
              IsEmpty());
  EXPECT_THAT(parse_listen_variables({.pid = "77", .fds = nullptr, .names = "a"}, self), IsEmpty());
  EXPECT_THAT(parse_listen_variables({.pid = "77", .fds = "0", .names = nullptr}, self), IsEmpty());
}

TEST(ListenVariables, ThatNobodyCanHaveMeantAreErrors) {
  for (const char* fds : {"", "x", "1x", "-1", "1.0", " 1", "99999999999999999999"}) {
    SCOPED_TRACE(fds);
    const FatalError error = error_of({.pid = "77", .fds = fds, .names = nullptr});
    EXPECT_EQ(error.code(), ExitCode::config);
    EXPECT_THAT(error.what(), HasSubstr("LISTEN_FDS"));
  }
  for (const char* pid : {"", "x", "0", "-77"}) {
    SCOPED_TRACE(pid);
    EXPECT_THAT(error_of({.pid = pid, .fds = "1", .names = nullptr}).what(),
                HasSubstr("LISTEN_PID"));
  }
  EXPECT_THAT(error_of({.pid = "77", .fds = "17", .names = nullptr}).what(),
              HasSubstr("at most 16"));
}

/// Plays systemd: in a child, passes `sockets` from descriptor 3 on, then runs `body`.
template <typename Body>
std::optional<int> with_passed(const std::vector<int>& sockets, Body body) {
  return tests::exitcode_in_child([&] {
    std::vector<int> high;
    for (const int fd : sockets) high.push_back(fcntl(fd, F_DUPFD, 500));
    for (std::size_t i = 0; i < high.size(); ++i) dup2(high[i], 3 + static_cast<int>(i));
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(sockets.size()).c_str(), 1);
    setenv("LISTEN_FDNAMES", "first", 1);
    return body();
  });
}

TEST(PassedSockets, AreTakenWithTheirAddressesAndOwner) {
  const tests::TempDir directory;
  std::vector<Listener> opened;
  for (const std::string& text :
       {std::string("127.0.0.1:0"), std::string("[::1]:0"), "unix:" + directory.path("s")}) {
    opened.push_back(Listener::open(tests::address_of(text), 5));
  }
  const auto code = with_passed({opened[0].fd(), opened[1].fd(), opened[2].fd()}, [&] {
    const std::vector<Listener> taken = take_passed_sockets();
    if (taken.size() != 3) return 1;
    for (std::size_t i = 0; i < taken.size(); ++i) {
      if (taken[i].fd() != 3 + static_cast<int>(i)) return 2;
      if (taken[i].address().to_string() != opened[i].address().to_string()) return 3;
      if (taken[i].owner() != Listener::Owner::service_manager) return 4;
      if (fcntl(taken[i].fd(), F_GETFD) != FD_CLOEXEC) return 5;
    }
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
      if (std::getenv(name) != nullptr) return 6;
    }
    return take_passed_sockets().empty() ? 0 : 7;
  });
  EXPECT_EQ(code, 0);
}

TEST(PassedSockets, OfAnotherProcessAreLeftAlone) {
  const Listener opened = Listener::open(tests::address_of("127.0.0.1:0"), 5);
  const auto code = with_passed({opened.fd()}, [] {
    setenv("LISTEN_PID", std::to_string(getppid()).c_str(), 1);
    if (!take_passed_sockets().empty()) return 1;
    if (fcntl(3, F_GETFD) != 0) return 2;
    return std::getenv("LISTEN_FDS") == nullptr ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
}

TEST(PassedSockets, OfAnotherKindAreRefusedByTheirName) {
  const auto pair = tests::unix_pair();
  const sys::Descriptor datagram(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sys::Descriptor not_listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sys::Descriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const int fd : {pair.client.get(), datagram.get(), not_listening.get(), file.get()}) {
    const auto code = with_passed({fd}, [] {
      try {
        take_passed_sockets();
      } catch (const FatalError& error) {
        const std::string line = error.what();
        return error.code() == ExitCode::config &&
                       line.find("descriptor 3 ('first')") != std::string::npos
                   ? 0
                   : 1;
      }
      return 2;
    });
    EXPECT_EQ(code, 0) << fd;
  }
}

TEST(PassedSockets, KeepTheirDoorAndTheirFile) {
  const tests::TempDir directory;
  for (const std::string& text : {std::string("127.0.0.1:0"), "unix:" + directory.path("s")}) {
    const Listener opened = Listener::open(tests::address_of(text), 5);
    const Listener passed =
        Listener::adopt(sys::Descriptor(dup(opened.fd())), Listener::Owner::service_manager);
    passed.begin_drain();
    passed.stop_listening();
    passed.remove_path();
    const sys::Descriptor client = tests::try_connect(opened.address());
    EXPECT_TRUE(client);
    EXPECT_EQ(opened.accept().outcome, AcceptResult::Outcome::client);
  }
}

}  // namespace
}  // namespace forkecho::server
