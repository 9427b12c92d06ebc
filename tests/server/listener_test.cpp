#include "server/listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <system_error>
#include <vector>

#include "common/mp/process.h"
#include "tests/support/processes.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using tests::address_of;
using tests::connect_to;
using tests::TempDir;
using Outcome = AcceptResult::Outcome;

Listener open_loopback(const char* text = "127.0.0.1:0") {
  Listener listener = Listener::open(address_of(text), 128);
  listener.set_nonblocking();
  return listener;
}

std::string error_of_opening(const sys::SocketAddress& address) {
  try {
    Listener::open(address, 1);
  } catch (const std::system_error& error) {
    return error.what();
  }
  return "";
}

TEST(Listener, TellsThePortThatTheKernelChose) {
  for (const char* text : {"127.0.0.1:0", "[::1]:0"}) {
    const Listener listener = open_loopback(text);
    EXPECT_GT(listener.address().port(), 0);
    const sys::Descriptor client = connect_to(listener.address());
    const AcceptResult accepted = listener.accept();
    ASSERT_EQ(accepted.outcome, Outcome::client);
    EXPECT_EQ(accepted.client.peer.to_string(),
              sys::SocketAddress::local(client.get()).to_string());
  }
}

TEST(Listener, MayWaitInAcceptWhereItsSocketDoesNot) {
  Listener listener = open_loopback();
  ASSERT_TRUE(listener.is_nonblocking());
  listener.wait_in_accept();
  tests::Gate waits;
  mp::Process acceptor([&] {
    waits.open();
    while (!listener.accept().client.socket) continue;
  });
  acceptor.start();
  ASSERT_TRUE(waits.pass());
  EXPECT_TRUE(tests::sleeps(*acceptor.pid()));
  const sys::Descriptor client = connect_to(listener.address());
  EXPECT_TRUE(acceptor.join(tests::patience()));
}

// --- Queues of one address

TEST(ListenerQueues, HaveOnePortThatTheKernelChose) {
  for (const char* text : {"127.0.0.1:0", "[::1]:0"}) {
    const auto queues = Listener::open_queues(address_of(text), 128, 3);
    ASSERT_EQ(queues.size(), 3U);
    EXPECT_GT(queues[0].address().port(), 0);
    for (const Listener& queue : queues)
      EXPECT_EQ(queue.address().port(), queues[0].address().port());
  }
}

TEST(ListenerQueues, ShareTheClientsAndLoseNone) {
  const auto queues = Listener::open_queues(address_of("127.0.0.1:0"), 128, 4);
  for (const Listener& queue : queues) queue.set_nonblocking();
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 64; ++i) clients.push_back(connect_to(queues[0].address()));
  std::vector<int> accepted;
  for (const Listener& queue : queues) {
    accepted.push_back(0);
    while (queue.accept().outcome == Outcome::client) ++accepted.back();
  }
  EXPECT_EQ(std::accumulate(accepted.begin(), accepted.end(), 0), 64);
  EXPECT_GE(std::count_if(accepted.begin(), accepted.end(), [](int n) { return n > 0; }), 2);
}

/// Also where it would share: a second daemon by mistake would get a part of the first one's
/// clients.
TEST(ListenerQueues, AreRefusedWhereSomebodyListens) {
  const auto queues = Listener::open_queues(address_of("127.0.0.1:0"), 128, 2);
  try {
    Listener::open_queues(queues[0].address(), 128, 2);
    ADD_FAILURE() << "opened twice";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EADDRINUSE);
    EXPECT_THAT(error.what(), HasSubstr("another program does"));
  }
}

TEST(Listener, AcceptedSocketsAreReadyToUse) {
  const Listener listener = open_loopback();
  const sys::Descriptor client = connect_to(listener.address());
  const AcceptResult accepted = listener.accept();
  ASSERT_EQ(accepted.outcome, Outcome::client);
  const int socket = accepted.client.socket.get();
  EXPECT_TRUE(fcntl(socket, F_GETFD) & FD_CLOEXEC);
  EXPECT_FALSE(fcntl(socket, F_GETFL) & O_NONBLOCK);
  int no_delay = 0;
  socklen_t length = sizeof no_delay;
  getsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length);
  EXPECT_NE(no_delay, 0);
}

TEST(Listener, NobodyWaits) {
  const Listener listener = open_loopback();
  EXPECT_FALSE(listener.has_waiting_client());
  EXPECT_EQ(listener.accept().outcome, Outcome::none);
  const sys::Descriptor client = connect_to(listener.address());
  EXPECT_TRUE(listener.has_waiting_client());
  EXPECT_EQ(listener.accept().outcome, Outcome::client);
  EXPECT_FALSE(listener.has_waiting_client());
}

TEST(Listener, WithoutADescriptorTheClientStaysQueued) {
  const Listener listener = open_loopback();
  const sys::Descriptor client = connect_to(listener.address());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const AcceptResult exhausted = listener.accept();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(exhausted.outcome, Outcome::exhausted);
  EXPECT_EQ(exhausted.error, EMFILE);
  EXPECT_EQ(listener.accept().outcome, Outcome::client);
}

TEST(Listener, APortInUseIsSaidInWordsForTheUser) {
  const Listener listener = open_loopback();
  const std::string error = error_of_opening(listener.address());
  EXPECT_THAT(error, HasSubstr("cannot listen on " + listener.address().to_string()));
  EXPECT_THAT(error, HasSubstr("another program does"));
  EXPECT_THAT(error, HasSubstr("--listen"));
}

TEST(Listener, AnAddressOfAnotherMachineIsRefused) {
  EXPECT_THAT(error_of_opening(address_of("192.0.2.1:0")),
              HasSubstr("cannot listen on 192.0.2.1:0"));
}

TEST(Listener, ThePortCanBeBoundAgainAtOnceAfterConnections) {
  std::optional<Listener> first = open_loopback();
  const sys::SocketAddress address = first->address();
  {
    // The server's side closes first: its end stays behind in TIME_WAIT.
    const sys::Descriptor client = connect_to(address);
    AcceptResult accepted = first->accept();
    accepted.client.socket.reset();
    EXPECT_EQ(tests::receive_to_end(client.get()), "");
  }
  first.reset();
  EXPECT_EQ(error_of_opening(address), "");
}

TEST(Listener, TheWildcardOfIpv6LeavesIpv4Free) {
  const Listener v4 = open_loopback("0.0.0.0:0");
  EXPECT_EQ(error_of_opening(address_of("[::]:" + std::to_string(v4.address().port()))), "");
}

// --- Unix sockets

TEST(Listener, ListensOnAPath) {
  const TempDir directory;
  const auto address = address_of("unix:" + directory.path("s"));
  const Listener listener = Listener::open(address, 8);
  const sys::Descriptor client = connect_to(address);
  const AcceptResult accepted = listener.accept();
  ASSERT_EQ(accepted.outcome, Outcome::client);
  EXPECT_EQ(accepted.client.peer.to_string(), "unix:");
  listener.remove_path();
  EXPECT_NE(access(directory.path("s").c_str(), F_OK), 0);
}

TEST(Listener, AStaleSocketFileIsReplaced) {
  const TempDir directory;
  const auto address = address_of("unix:" + directory.path("s"));
  { const Listener dead = Listener::open(address, 8); }
  EXPECT_EQ(access(directory.path("s").c_str(), F_OK), 0);
  const Listener listener = Listener::open(address, 8);
  EXPECT_TRUE(tests::try_connect(address));
}

TEST(Listener, ALiveSocketIsNotReplaced) {
  const TempDir directory;
  const auto address = address_of("unix:" + directory.path("s"));
  const Listener listener = Listener::open(address, 8);
  listener.set_nonblocking();
  EXPECT_THAT(error_of_opening(address), HasSubstr("another program does"));
  EXPECT_EQ(listener.accept().outcome, Outcome::client);  // the question whether it lives
  const sys::Descriptor client = connect_to(address);
  EXPECT_EQ(listener.accept().outcome, Outcome::client);
}

TEST(Listener, ALiveSocketWithAFullQueueIsNotReplaced) {
  const TempDir directory;
  const auto address = address_of("unix:" + directory.path("s"));
  const Listener listener = Listener::open(address, 0);
  const sys::Descriptor only_one = connect_to(address);
  EXPECT_THAT(error_of_opening(address), HasSubstr("another program does"));
}

TEST(Listener, AFileThatIsNoSocketIsNotReplaced) {
  const TempDir directory;
  std::ofstream(directory.path("s")) << "precious";
  EXPECT_NE(error_of_opening(address_of("unix:" + directory.path("s"))), "");
  EXPECT_EQ(tests::content_of(directory.path("s")), "precious");
}

// --- The drain

/// A connection attempt that does not block.
sys::Descriptor begin_connecting(const sys::SocketAddress& address) {
  sys::Descriptor socket(sys::check_syscall(
      ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
  ::connect(socket.get(), address.get(), address.length());
  return socket;
}

bool is_connected(const sys::Descriptor& socket) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  return getpeername(socket.get(), reinterpret_cast<sockaddr*>(&peer), &length) == 0;
}

class Drain : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Listener, Drain, testing::Values("127.0.0.1:0", "[::1]:0"),
                         [](const auto& test) { return test.index == 0 ? "IPv4" : "IPv6"; });

TEST_P(Drain, AdmitsNoNewClientAndLosesNoneInTheQueue) {
  const Listener listener = open_loopback(GetParam());
  std::vector<sys::Descriptor> queued;
  for (int i = 0; i < 20; ++i) queued.push_back(connect_to(listener.address()));
  listener.begin_drain();
  const sys::Descriptor late = begin_connecting(listener.address());
  for (const sys::Descriptor& client : queued) {
    ASSERT_TRUE(tests::send_all(client.get(), "x"));
    const AcceptResult accepted = listener.accept();
    ASSERT_EQ(accepted.outcome, Outcome::client);
    EXPECT_EQ(tests::receive(accepted.client.socket.get(), 1).data, "x");
    EXPECT_TRUE(tests::send_all(accepted.client.socket.get(), "y"));
    EXPECT_EQ(tests::receive(client.get(), 1).data, "y");
  }
  EXPECT_EQ(listener.accept().outcome, Outcome::none);
  EXPECT_FALSE(listener.has_waiting_client());
  EXPECT_FALSE(is_connected(late));
}

TEST_P(Drain, AClientThatConnectsThroughoutIsLostAtNoMoment) {
  // A storm of handshakes while the door is shut: whoever got a connection is in the queue.
  const Listener listener = open_loopback(GetParam());
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(begin_connecting(listener.address()));
    if (i == 30) listener.begin_drain();
  }
  std::ptrdiff_t connected = 0;
  for (const sys::Descriptor& client : clients) connected += is_connected(client);
  EXPECT_EQ(connected, 31);
  std::vector<AcceptResult> accepted;
  for (;;) {
    AcceptResult result = listener.accept();
    if (result.outcome != Outcome::client) break;
    accepted.push_back(std::move(result));
  }
  EXPECT_EQ(static_cast<std::ptrdiff_t>(accepted.size()), connected);
}

TEST(Listener, TheDrainOfAUnixSocketTakesItsPathAndKeepsItsQueue) {
  const TempDir directory;
  const auto address = address_of("unix:" + directory.path("s"));
  const Listener listener = Listener::open(address, 8);
  listener.set_nonblocking();
  const sys::Descriptor queued = connect_to(address);
  listener.begin_drain();
  EXPECT_FALSE(tests::try_connect(address));
  EXPECT_EQ(listener.accept().outcome, Outcome::client);
  EXPECT_EQ(listener.accept().outcome, Outcome::none);
}

TEST(Listener, OnceStoppedThePortRefuses) {
  const Listener listener = open_loopback();
  listener.stop_listening();
  EXPECT_FALSE(tests::try_connect(listener.address()));
  EXPECT_EQ(errno, ECONNREFUSED);
  EXPECT_EQ(listener.accept().outcome, Outcome::closed);
  EXPECT_FALSE(listener.has_waiting_client());
}

TEST(Listener, StoppingWakesAnotherProcessThatBlocksInAccept) {
  const Listener listener = Listener::open(address_of("127.0.0.1:0"), 8);
  const tests::Pipe about_to_accept;
  mp::Process blocked([&] {
    sys::check_syscall(write(about_to_accept.write.get(), "x", 1), "write");
    mp::leave(listener.accept().outcome == Outcome::closed ? 0 : 1);
  });
  blocked.start();
  ASSERT_TRUE(tests::readable(about_to_accept.read.get()));
  listener.stop_listening();
  EXPECT_TRUE(blocked.join(tests::patience()));
  EXPECT_EQ(blocked.exitcode(), 0);
}

}  // namespace
}  // namespace forkecho::server
