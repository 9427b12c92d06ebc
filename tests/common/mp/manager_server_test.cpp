// The server seen from its socket: by clients that do not keep to the rules. What it does for those
// that do is in manager_test.cpp.
#include "common/mp/manager_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <random>

#include "common/mp/manager.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"
#include "tests/support/temp_dir.h"

namespace forkecho::mp {
namespace {

using managed::Kind;
using tests::patience;

/// Connected, and no more.
sys::Descriptor stranger(const Manager& manager) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string& name = manager.address();
  std::copy(name.begin() + 1, name.end(), address.sun_path + 1);
  sys::Descriptor socket(
      sys::check_syscall(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket"));
  sys::check_syscall(connect(socket.get(), reinterpret_cast<sockaddr*>(&address),
                             static_cast<socklen_t>(sizeof(sa_family_t) + name.size())),
                     "connect");
  return socket;
}

Connection member(const Manager& manager) {
  return Connection(
      managed::connect_and_authenticate(manager.address(), manager.authkey(), patience()));
}

/// Whether the server closes the connection; what it sends before is read.
bool is_cut_off(int socket) {
  std::array<std::byte, 4096> ignored;
  while (tests::readable(socket)) {
    const auto count = recv(socket, ignored.data(), ignored.size(), MSG_DONTWAIT);
    if (count == 0 || (count == -1 && errno == ECONNRESET)) return true;
    if (count == -1) return false;
  }
  return false;
}

void expect_serves(const Manager& manager) {
  const auto dict = manager.dict<int, int>();
  dict.set(1, 2);
  EXPECT_EQ(dict.get(1), 2);
  manager.remove(dict);
}

void send_with_descriptors(int socket, iovec part, std::span<int> descriptors) {
  alignas(cmsghdr) std::array<char, 64> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  sys::check_syscall(sendmsg(socket, &message, MSG_NOSIGNAL), "sendmsg");
}

/// As a mp::Connection sends what is too long for a packet.
void send_large_message(int socket, int file) {
  struct {
    std::uint32_t kind = 1;
    std::uint32_t reserved = 0;
    std::uint64_t size = 100'000;
  } header;
  std::array<int, 1> descriptors{file};
  send_with_descriptors(socket, {&header, sizeof header}, descriptors);
}

Bytes request_for(managed::ObjectId object, Kind kind, std::uint32_t op) {
  return managed::begin_request(object, kind, op).take();
}

TEST(ManagerServer, AStrangerThatSaysNothingIsCutOffAndHoldsUpNobody) {
  ManagerOptions options;
  options.handshake_patience = std::chrono::milliseconds(100);
  const Manager manager(options);
  const auto silent = stranger(manager);
  expect_serves(manager);
  EXPECT_TRUE(is_cut_off(silent.get()));
  expect_serves(manager);
}

TEST(ManagerServer, AMemberIsNotCutOffByTheTimeForStrangers) {
  ManagerOptions options;
  options.handshake_patience = std::chrono::milliseconds(50);
  const Manager manager(options);
  const auto silent = stranger(manager);
  const auto lock = manager.lock();
  lock.acquire();
  EXPECT_TRUE(is_cut_off(silent.get()));  // so this connection has outlived the time, too
  EXPECT_NO_THROW(lock.release());
}

TEST(ManagerServer, AStrangerWithoutTheKeyIsNoMemberHoweverLongItMayTake) {
  ManagerOptions options;
  options.handshake_patience = sys::Duration::max();
  const Manager manager(options);
  const auto dict = manager.dict<int, int>();
  Connection without_key(stranger(manager));
  without_key.send_bytes(request_for(dict.id(), Kind::dict, 5));  // size
  EXPECT_TRUE(is_cut_off(without_key.fileno()));
  expect_serves(manager);
}

TEST(ManagerServer, WithoutPatienceForStrangersThereIsNone) {
  ManagerOptions options;
  for (const auto patience : {sys::Duration::zero(), sys::Duration(-1), sys::Duration::min()}) {
    options.handshake_patience = patience;
    EXPECT_THROW(Manager{options}, std::invalid_argument);
  }
}

TEST(ManagerServer, AMemberThatSendsGarbageIsCutOff) {
  const Manager manager;
  const auto dict = manager.dict<int, int>();
  const auto lock = manager.lock();
  const std::vector<Bytes> garbage = {{},
                                      Bytes(3),
                                      Bytes(5000),
                                      request_for(dict.id(), Kind::list, 0),
                                      request_for(dict.id(), Kind::dict, 999),
                                      request_for(dict.id(), Kind::dict, 1)};
  for (const auto& packet : garbage) {
    Connection client = member(manager);
    client.send_bytes(packet);
    EXPECT_TRUE(is_cut_off(client.fileno())) << packet.size();
  }
  Connection descriptor_sender = member(manager);
  descriptor_sender.send_descriptor(STDIN_FILENO);
  EXPECT_TRUE(is_cut_off(descriptor_sender.fileno()));
  const Connection raw_sender = member(manager);
  ASSERT_EQ(send(raw_sender.fileno(), "x", 1, MSG_NOSIGNAL), 1);
  EXPECT_TRUE(is_cut_off(raw_sender.fileno()));
  expect_serves(manager);
}

TEST(ManagerServer, AMemberThatDoesNotWaitForItsAnswerIsCutOff) {
  const Manager manager;
  const auto lock = manager.lock();
  lock.acquire();
  Connection client = member(manager);
  client.send_bytes(request_for(lock.id(), Kind::lock, 0));
  client.send_bytes(request_for(lock.id(), Kind::lock, 0));
  EXPECT_TRUE(is_cut_off(client.fileno()));
  lock.release();
}

TEST(ManagerServer, AMemberThatSendsAndDoesNotReadIsCutOffAndHoldsUpNobody) {
  const Manager manager;
  const auto dict = manager.dict<int, std::string>();
  dict.set(1, std::string(40'000, 'x'));
  Connection client = member(manager);
  const Bytes request = request_for(dict.id(), Kind::dict, 7);  // items
  bool cut_off = false;
  try {
    for (int i = 0; i < 10'000; ++i) client.send_bytes(request);
  } catch (const std::system_error& error) {
    cut_off = error.code().value() == EPIPE || error.code().value() == ECONNRESET;
  }
  EXPECT_TRUE(cut_off);
  EXPECT_EQ(dict.get(1)->size(), 40'000u);
}

TEST(ManagerServer, ALargeMessageMustBeAFileInMemory) {
  const Manager manager;
  Connection client = member(manager);
  const tests::Pipe pipe;  // the read of which would never return
  send_large_message(client.fileno(), pipe.read.get());
  EXPECT_TRUE(is_cut_off(client.fileno()));
  expect_serves(manager);
}

TEST(ManagerServer, ALargeMessageFromAFileOnADiskIsCutOff) {
  const Manager manager;
  const auto dict = manager.dict<int, int>();
  const tests::TempDir folder;
  const std::string path = folder.path("message");
  Bytes request = request_for(dict.id(), Kind::dict, 5);  // size; what comes after is not looked at
  request.resize(100'000);
  std::ofstream(path).write(reinterpret_cast<const char*>(request.data()), std::ssize(request));
  sys::Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fcntl(file.get(), F_GET_SEALS) != -1) GTEST_SKIP() << "files are in memory here";
  const Connection client = member(manager);
  send_large_message(client.fileno(), file.get());
  EXPECT_TRUE(is_cut_off(client.fileno()));
  expect_serves(manager);
}

TEST(ManagerServer, IsAsleepWhenThereIsNothingToDo) {
  const Manager manager;
  const auto queue = manager.queue<int>();
  const pid_t waiting = tests::start_child([&] { return queue.get().value_or(1); });
  EXPECT_TRUE(tests::sleeps(*manager.pid()));
  queue.put(0);
  EXPECT_EQ(tests::exitcode_of(waiting), 0);
}

TEST(ManagerServer, KeepsNothingOpenThatItsMakerHasOpen) {
  const tests::Pipe pipe;
  // With a higher number than the manager's own.
  const sys::Descriptor high(
      sys::check_syscall(fcntl(pipe.read.get(), F_DUPFD_CLOEXEC, pipe.write.get() + 20), "fcntl"));
  const Manager manager;
  EXPECT_TRUE(tests::eventually(patience(), [&] {
    for (const auto& [number, what] : tests::descriptors_of(*manager.pid())) {
      if (what.starts_with("pipe:") && number > STDERR_FILENO) return false;
    }
    return true;
  }));
}

TEST(ManagerServer, LetsGoOfEverythingThatAClientHadOpened) {
  const Manager manager;
  expect_serves(manager);
  const auto before = tests::descriptors_of(*manager.pid()).size();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(tests::exitcode_in_child([&] {
                expect_serves(manager);
                return 0;
              }),
              0);
  }
  EXPECT_TRUE(tests::eventually(
      patience(), [&] { return tests::descriptors_of(*manager.pid()).size() == before; }));
}

TEST(ManagerServer, OutOfDescriptorsItWaitsAndGoesOnWhenThereAreSome) {
  // Whether the last one is missing for a stranger's socket or for its process.
  for (const rlim_t most : {24u, 25u}) {
    ManagerOptions options;
    options.handshake_patience = std::chrono::milliseconds(300);
    const Manager manager(options);
    const rlimit few{most, most};
    ASSERT_EQ(prlimit(*manager.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
    std::vector<sys::Descriptor> strangers;
    for (int i = 0; i < 8; ++i) strangers.push_back(stranger(manager));
    // This one waits in the queue until the first strangers' time is over.
    EXPECT_EQ(tests::exitcode_in_child([&] {
                expect_serves(manager);
                return testing::Test::HasFailure() ? 1 : 0;
              }),
              0);
  }
}

TEST(ManagerServer, OutOfDescriptorsForStrangersItReceivesTheMembersLargeMessages) {
  for (const rlim_t most : {28u, 29u}) {
    const Manager manager;
    const auto dict = manager.dict<int, std::string>();
    const rlimit few{most, most};
    ASSERT_EQ(prlimit(*manager.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
    std::vector<sys::Descriptor> strangers;
    for (int i = 0; i < 30; ++i) strangers.push_back(stranger(manager));
    const std::string large(100'000, 'x');
    for (int i = 0; i < 20; ++i) ASSERT_NO_THROW(dict.set(i, large)) << i;
    EXPECT_EQ(dict.get(19), large);
  }
}

TEST(ManagerServer, DescriptorsThatAMemberAttachesAreClosed) {
  const Manager manager;
  expect_serves(manager);
  const auto before = tests::descriptors_of(*manager.pid()).size();
  const Connection client = member(manager);
  std::array<int, 2> descriptors{STDIN_FILENO, STDOUT_FILENO};
  std::uint64_t garbage = 0;
  send_with_descriptors(client.fileno(), {&garbage, sizeof garbage}, descriptors);
  EXPECT_TRUE(is_cut_off(client.fileno()));
  EXPECT_TRUE(tests::eventually(
      patience(), [&] { return tests::descriptors_of(*manager.pid()).size() == before; }));
}

TEST(ManagerServer, AnotherUserIsRefusedByBothSides) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const Manager manager;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              constexpr uid_t nobody = 65534;
              if (setresuid(nobody, nobody, nobody) != 0) return 1;
              const auto socket = stranger(manager);
              std::byte greeting{};
              if (!tests::readable(socket.get())) return 2;
              if (recv(socket.get(), &greeting, sizeof greeting, 0) != 0) return 3;
              try {
                Manager::connect(manager.address(), manager.authkey());
                return 4;
              } catch (const AuthenticationError&) {
                return 0;
              }
            }),
            0);
  expect_serves(manager);
}

TEST(ManagerServer, WhoConnectsWithoutEndKeepsNoMemberWaiting) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const Manager manager;
  const auto dict = manager.dict<int, int>();
  std::vector<pid_t> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(tests::start_child([&] {
      constexpr uid_t nobody = 65534;
      if (setresuid(nobody, nobody, nobody) != 0) return 1;
      for (;;) stranger(manager);
      return 0;
    }));
  }
  const auto until = tests::patience();
  int served = 0;
  while (!until.passed() && served < 200) dict.set(served++, 0);
  EXPECT_EQ(served, 200);
  for (const pid_t other : others) kill(other, SIGKILL);
  for (const pid_t other : others) EXPECT_EQ(tests::exitcode_of(other), -SIGKILL);
}

/// Random bytes as packets, in the place of the hello and after the handshake.
class RandomPackets : public testing::Test {
 protected:
  Bytes random_packet() {
    Bytes packet(std::uniform_int_distribution<std::size_t>(0, 300)(random_));
    for (auto& each : packet) each = static_cast<std::byte>(random_() & 255);
    return packet;
  }
  /// A request with a good header, as far as it goes, and anything behind it.
  Bytes random_request() {
    const auto pick = [&](std::uint32_t below) {
      return static_cast<std::uint32_t>(random_() % below);
    };
    Encoder packet;
    packet.put(managed::RequestHeader{pick(6), static_cast<Kind>(pick(8)), pick(16),
                                      static_cast<std::int64_t>(random_())});
    const Bytes rest = random_packet();
    // Small lengths are likelier to lead anywhere.
    for (std::uint32_t blobs = pick(4); blobs > 0; --blobs)
      managed::put_blob(packet,
                        BytesView(rest).first(std::min<std::size_t>(rest.size(), pick(20))));
    if (pick(2) == 0) packet.raw(rest.data(), rest.size());
    return packet.take();
  }
  std::mt19937_64 random_{20240607};
};

TEST_F(RandomPackets, BeforeTheHandshakeDoNoHarm) {
  const Manager manager;
  for (int i = tests::soak(300, 30'000); i > 0; --i) {
    const auto socket = stranger(manager);
    const Bytes packet = random_packet();
    send(socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
    if (!packet.empty()) {
      ASSERT_TRUE(is_cut_off(socket.get()));
    }
  }
  expect_serves(manager);
}

TEST_F(RandomPackets, AfterTheHandshakeDoNoHarm) {
  const Manager manager;
  // Something of each kind, at the numbers that random requests speak of.
  const auto dict = manager.dict<int, int>();
  const auto list = manager.list<int>();
  const auto queue = manager.queue<int>(2);
  const auto lock = manager.lock();
  for (int i = tests::soak(1000, 100'000); i > 0; --i) {
    Connection client = member(manager);
    try {
      for (int packets = 4; packets > 0; --packets) client.send_bytes(random_request());
    } catch (const std::system_error&) {
      // cut off: as it should be
    }
  }
  expect_serves(manager);
  ASSERT_EQ(manager.pid().has_value(), true);
  EXPECT_NE(tests::state_of(*manager.pid()), 'Z');
}

}  // namespace
}  // namespace forkecho::mp
