#include "common/mp/manager_handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using managed::Admission;

Bytes bytes_of(const std::string& text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

/// A child that listens at `address`, and greets and admits one client as the server does.
class OneClientServer {
 public:
  explicit OneClientServer(const Bytes& key) : listener_(managed::listen_at(address)) {
    child_ = tests::start_child([&] {
      if (!tests::readable(listener_.get())) return 1;
      const sys::Descriptor client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!managed::send_greeting(client.get())) return 2;
      if (!tests::readable(client.get())) return 3;
      return managed::admit(client.get(), key) == Admission::admitted ? 0 : 4;
    });
    listener_.reset();
  }
  std::optional<int> exitcode() const { return tests::exitcode_of(child_); }

  const std::string address = managed::random_address();

 private:
  sys::Descriptor listener_;
  pid_t child_ = 0;
};

struct Sockets {
  Sockets() {
    int ends[2];
    sys::check_syscall(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  void send_text(const std::string& text) const {
    sys::check_syscall(send(ours.get(), text.data(), text.size(), MSG_NOSIGNAL), "send");
  }
  /// The next packet; "" at the end of file.
  std::string receive() const {
    std::string packet(100, '\0');
    packet.resize(
        sys::check_syscall(recv(ours.get(), packet.data(), packet.size(), MSG_DONTWAIT), "recv"));
    return packet;
  }
  sys::Descriptor ours;
  sys::Descriptor theirs;
};

TEST(ManagerHandshake, KeysAreOf32BytesAndDiffer) {
  EXPECT_EQ(random_authkey().size(), 32u);
  EXPECT_NE(random_authkey(), random_authkey());
}

TEST(ManagerHandshake, ComparesWholeKeys) {
  EXPECT_TRUE(managed::equal_in_constant_time(bytes_of("abc"), bytes_of("abc")));
  EXPECT_TRUE(managed::equal_in_constant_time({}, {}));
  for (const char* other : {"", "ab", "abcd", "abd", "xbc"})
    EXPECT_FALSE(managed::equal_in_constant_time(bytes_of("abc"), bytes_of(other))) << other;
}

TEST(ManagerHandshake, AddressesAreAbstractAndDiffer) {
  EXPECT_THAT(managed::random_address(), testing::StartsWith("@forkecho-manager-"));
  EXPECT_NE(managed::random_address(), managed::random_address());
}

TEST(ManagerHandshake, KnowsThePeerByTheKernelsWord) {
  const Sockets sockets;
  EXPECT_EQ(managed::peer_of(sockets.ours.get()).pid, getpid());
  EXPECT_EQ(managed::peer_of(sockets.ours.get()).uid, geteuid());
}

TEST(ManagerHandshake, TheRightKeyIsAdmitted) {
  const OneClientServer server(bytes_of("secret"));
  EXPECT_TRUE(
      managed::connect_and_authenticate(server.address, bytes_of("secret"), tests::patience()));
  EXPECT_EQ(server.exitcode(), 0);
}

TEST(ManagerHandshake, AWrongKeyIsAnAuthenticationError) {
  for (const char* wrong : {"secreT", "secret ", ""}) {
    const OneClientServer server(bytes_of("secret"));
    EXPECT_THROW(
        managed::connect_and_authenticate(server.address, bytes_of(wrong), tests::patience()),
        AuthenticationError);
    EXPECT_EQ(server.exitcode(), 4);
  }
}

TEST(ManagerHandshake, NobodyThereIsManagerDied) {
  EXPECT_THROW(managed::connect_and_authenticate(managed::random_address(), {}, tests::patience()),
               ManagerDied);
}

TEST(ManagerHandshake, WhatIsNoAddressOrNoKeyIsMisuse) {
  for (const std::string& address :
       {std::string(), std::string("@"), std::string("/run/x"), '@' + std::string(200, 'x')}) {
    EXPECT_THROW(managed::connect_and_authenticate(address, {}, tests::patience()),
                 std::invalid_argument);
  }
  EXPECT_THROW(
      managed::connect_and_authenticate(managed::random_address(), Bytes(1025), tests::patience()),
      std::length_error);
}

TEST(ManagerHandshake, AServerThatStaysSilentIsGivenUpAtTheDeadline) {
  const std::string address = managed::random_address();
  const sys::Descriptor listener = managed::listen_at(address);
  EXPECT_THROW(managed::connect_and_authenticate(
                   address, {}, sys::Deadline::after(std::chrono::milliseconds(50))),
               ManagerDied);
}

TEST(ManagerHandshake, AServerThatAcceptsNobodyIsGivenUpAtTheDeadline) {
  const std::string address = managed::random_address();
  const sys::Descriptor listener = managed::listen_at(address);
  ASSERT_EQ(listen(listener.get(), 0), 0);  // room for one
  const auto soon = [] { return sys::Deadline::after(std::chrono::milliseconds(30)); };
  for (int i = 0; i < 2; ++i)
    EXPECT_THROW(managed::connect_and_authenticate(address, {}, soon()), ManagerDied);
}

TEST(ManagerHandshake, AnotherProgramsServerGetsNoKey) {
  const std::string address = managed::random_address();
  const sys::Descriptor listener = managed::listen_at(address);
  const pid_t other = tests::start_child([&] {
    if (!tests::readable(listener.get())) return 1;
    const sys::Descriptor client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    send(client.get(), "SSH-2.0-whatever", 16, MSG_NOSIGNAL);
    char said = 0;
    return recv(client.get(), &said, 1, 0) == 0 ? 0 : 2;  // the end of file, and nothing before
  });
  EXPECT_THROW(managed::connect_and_authenticate(address, bytes_of("secret"), tests::patience()),
               ManagerDied);
  EXPECT_EQ(tests::exitcode_of(other), 0);
}

TEST(ManagerHandshake, AdmitWaitsForNobody) {
  const Sockets sockets;
  EXPECT_EQ(managed::admit(sockets.theirs.get(), {}), Admission::not_yet);
}

TEST(ManagerHandshake, AdmitRefusesWhatIsNoHello) {
  for (const std::string& said :
       {std::string("x"), std::string(16, 'x'), std::string(5000, 'x'), std::string(1040, '\0')}) {
    const Sockets sockets;
    sockets.send_text(said);
    EXPECT_EQ(managed::admit(sockets.theirs.get(), {}), Admission::refused) << said.size();
  }
  Sockets sockets;
  sockets.ours.reset();
  EXPECT_EQ(managed::admit(sockets.theirs.get(), {}), Admission::refused);
}

TEST(ManagerHandshake, AHelloIsTheGreetingAndTheKey) {
  const Sockets sockets;
  ASSERT_TRUE(managed::send_greeting(sockets.theirs.get()));
  sockets.send_text(sockets.receive() + "secret");
  EXPECT_EQ(managed::admit(sockets.theirs.get(), bytes_of("secret")), Admission::admitted);
  EXPECT_EQ(sockets.receive().size(), 1u);
}

}  // namespace
}  // namespace forkecho::mp
