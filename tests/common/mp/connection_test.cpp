#include "common/mp/connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <map>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"
#include "tests/support/temp_dir.h"

namespace forkecho::mp {
namespace {

using sys::Deadline;
using tests::patience;

Bytes bytes_of(const std::string& text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

/// Of `size` bytes, each told from its neighbours.
Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = std::byte(i * 131 + (i >> 8));
  return bytes;
}

Deadline soon() {
  return Deadline::after(std::chrono::milliseconds(50));
}

/// Sends until the other side, which does not read, has no more room; how many were sent.
int fill(Connection& connection, BytesView message) {
  int sent = 0;
  while (connection.send_bytes(message, Deadline::immediately())) ++sent;
  return sent;
}

void set_non_blocking(const Connection& connection) {
  sys::check_syscall(fcntl(connection.fileno(), F_SETFL, O_NONBLOCK), "fcntl(F_SETFL)");
}

/// A child that runs `body` with `end`; the parent's copy of that end is closed.
pid_t start_with(Connection& end, const std::function<int(Connection&)>& body) {
  const pid_t pid = tests::start_child([&] { return body(end); });
  end.close();
  return pid;
}

/// Sends back what it receives.
int echo(Connection& connection) {
  while (const auto message = connection.recv_bytes()) connection.send_bytes(*message);
  return 0;
}

/// A child that echoes, and our end of the pipe to it.
class Echo {
 public:
  Echo()
      : child_(start_with(pipe_.second, [this](Connection& end) {
          pipe_.first.close();
          return echo(end);
        })) {}
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;
  ~Echo() {
    pipe_.first.close();
    EXPECT_EQ(tests::exitcode_of(child_), 0);
  }
  Connection* operator->() { return &pipe_.first; }

 private:
  Pipe pipe_;
  pid_t child_;
};

TEST(Connection, EchoesValuesAndBytes) {
  PROVES("1.5", "2.1", "cpython:test_connection");
  Echo conn;
  using Sequence = std::tuple<int, double, std::optional<int>>;
  const Sequence sequence{1, 2.25, std::nullopt};
  EXPECT_TRUE(conn->send(sequence));
  EXPECT_EQ(conn->recv<Sequence>(), sequence);
  EXPECT_TRUE(conn->send(std::map<std::string, int>{{"a", 1}, {"b", 2}}));
  EXPECT_EQ((conn->recv<std::map<std::string, int>>()->at("b")), 2);

  const Bytes message = bytes_of("hello world");
  EXPECT_TRUE(conn->send_bytes(message));
  EXPECT_EQ(conn->recv_bytes(), message);
  EXPECT_TRUE(conn->readable());
  EXPECT_TRUE(conn->writable());
  EXPECT_GE(conn->fileno(), 0);
}

TEST(Connection, ReceivesIntoABuffer) {
  PROVES("cpython:test_connection");
  Echo conn;
  const std::array<int, 4> numbers{0, 1, 2, 3};
  std::array<int, 10> buffer{};
  conn->send_bytes(std::as_bytes(std::span(numbers)));
  EXPECT_EQ(conn->recv_bytes_into(std::as_writable_bytes(std::span(buffer))), sizeof numbers);
  EXPECT_EQ(buffer, (std::array<int, 10>{0, 1, 2, 3}));
  conn->send_bytes(std::as_bytes(std::span(numbers)));
  EXPECT_EQ(conn->recv_bytes_into(std::as_writable_bytes(std::span(buffer).subspan(3))),
            sizeof numbers);
  EXPECT_EQ(buffer, (std::array<int, 10>{0, 1, 2, 0, 1, 2, 3}));
}

TEST(Connection, ABufferTooShortGivesTheWholeMessage) {
  PROVES("cpython:test_connection");
  Echo conn;
  for (const std::size_t size : {std::size_t{110}, Connection::inline_limit + 1}) {
    const Bytes message = pattern(size);
    std::array<std::byte, 40> buffer;
    conn->send_bytes(message);
    try {
      conn->recv_bytes_into(buffer);
      ADD_FAILURE() << "expected BufferTooShort";
    } catch (const BufferTooShort& error) {
      EXPECT_EQ(error.message(), message);
    }
  }
  conn->send(7);
  EXPECT_EQ(conn->recv<int>(), 7);
}

TEST(Connection, PollWaitsAsLongAsAsked) {
  PROVES("cpython:test_connection");
  Echo conn;
  const auto begin = sys::Clock::now();
  EXPECT_FALSE(conn->poll());
  EXPECT_FALSE(conn->poll(Deadline::after(std::chrono::seconds(-1))));
  EXPECT_LT(sys::Clock::now() - begin, std::chrono::seconds(1));
  const Deadline deadline = soon();
  EXPECT_FALSE(conn->poll(deadline));
  EXPECT_TRUE(deadline.passed());
  conn->send(std::optional<int>());
  EXPECT_TRUE(conn->poll(patience()));
  EXPECT_TRUE(conn->poll());
  const auto received = conn->recv<std::optional<int>>();
  ASSERT_TRUE(received);
  EXPECT_FALSE(received->has_value());
}

TEST(Connection, EverySizeArrivesWhole) {
  PROVES("cpython:test_connection");
  Echo conn;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, Connection::inline_limit - 1, Connection::inline_limit,
        Connection::inline_limit + 1, std::size_t{16} << 20, std::size_t{40} << 20}) {
    const Bytes message = pattern(size);
    ASSERT_TRUE(conn->send_bytes(message));
    ASSERT_TRUE(conn->poll(patience())) << size;
    ASSERT_EQ(conn->recv_bytes(), message) << size;
  }
}

TEST(Connection, ALargeMessageLeavesNoMemoryFileOpen) {
  Pipe pipe;
  const auto before = tests::descriptors_of(getpid());
  pipe.first.send_bytes(pattern(1 << 20));
  EXPECT_EQ(tests::descriptors_of(getpid()), before);
  EXPECT_EQ(pipe.second.recv_bytes(), pattern(1 << 20));
  EXPECT_EQ(tests::descriptors_of(getpid()), before);
}

TEST(Connection, ASmallSocketBufferSendsAMemoryFileInstead) {
  Pipe pipe;
  const int size = 8 << 10;  // bytes
  for (Connection* end : {&pipe.first, &pipe.second})
    ASSERT_EQ(setsockopt(end->fileno(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
  const Bytes message = pattern(Connection::inline_limit);
  EXPECT_TRUE(pipe.first.send_bytes(message));
  EXPECT_EQ(pipe.second.recv_bytes(), message);
}

TEST(Connection, EndOfFileWhenTheOtherSideCloses) {
  PROVES("cpython:test_connection");
  Pipe pipe;
  const pid_t child = start_with(pipe.second, [](Connection& end) { return end.send(1) ? 0 : 1; });
  EXPECT_EQ(pipe.first.recv<int>(), 1);
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_TRUE(pipe.first.poll(patience()));
  EXPECT_EQ(pipe.first.recv<int>(), std::nullopt);
  EXPECT_EQ(pipe.first.recv_bytes(), std::nullopt);
  std::array<std::byte, 1> buffer;
  EXPECT_EQ(pipe.first.recv_bytes_into(buffer), std::nullopt);
  EXPECT_FALSE(pipe.first.recv_descriptor());
  EXPECT_EQ(pipe.first.attempt_recv(Connection::Wait::no).met, Connection::Met::end_of_file);
}

TEST(Connection, WhatWasSentBeforeTheEndIsReceived) {
  Pipe pipe;
  pipe.first.send(1);  // never read: the kernel resets the connection at the other side's end
  const pid_t child = start_with(pipe.second, [](Connection& end) {
    end.send(2);
    end.send_bytes(pattern(1 << 20));
    return kill(getpid(), SIGKILL);
  });
  EXPECT_EQ(tests::exitcode_of(child), -SIGKILL);
  EXPECT_EQ(pipe.first.recv<int>(), 2);
  EXPECT_EQ(pipe.first.recv_bytes(), pattern(1 << 20));
  EXPECT_EQ(pipe.first.recv_bytes(), std::nullopt);
}

TEST(Connection, SendToAClosedSideIsBrokenPipe) {
  for (const bool unread : {false, true}) {
    Pipe pipe;
    if (unread) pipe.first.send(1);
    pipe.second.close();
    for (int i = 0; i < 2; ++i) {
      try {
        pipe.first.send(2);
        ADD_FAILURE() << "expected EPIPE";
      } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EPIPE);
      }
    }
  }
}

TEST(Connection, DuplexFalseIsOneWay) {
  PROVES("cpython:test_duplex_false");
  Pipe pipe(Duplex::no);
  Connection& reader = pipe.first;
  Connection& writer = pipe.second;
  EXPECT_TRUE(writer.send(1));
  EXPECT_EQ(reader.recv<int>(), 1);
  EXPECT_TRUE(reader.readable());
  EXPECT_FALSE(reader.writable());
  EXPECT_FALSE(writer.readable());
  EXPECT_TRUE(writer.writable());
  EXPECT_THROW(reader.send(2), std::logic_error);
  EXPECT_THROW(reader.send_descriptor(0), std::logic_error);
  EXPECT_THROW(writer.recv<int>(), std::logic_error);
  EXPECT_THROW(writer.recv_descriptor(), std::logic_error);
  EXPECT_THROW(writer.attempt_recv(Connection::Wait::no), std::logic_error);
  EXPECT_THROW(writer.poll(), std::logic_error);
}

TEST(Connection, SendsPartsOfABuffer) {
  PROVES("cpython:test_sendbytes");
  Pipe pipe;
  const Bytes message = bytes_of("abcdefghijklmnopqrstuvwxyz");
  const BytesView all(message);
  for (const BytesView part : {all, all.subspan(5), all.subspan(7, 8), all.subspan(26)}) {
    EXPECT_TRUE(pipe.first.send_bytes(part));
    EXPECT_EQ(pipe.second.recv_bytes(), Bytes(part.begin(), part.end()));
  }
}

TEST(Connection, OneThatIsClosedIsAnError) {
  Pipe pipe;
  EXPECT_FALSE(pipe.first.closed());
  pipe.first.close();
  EXPECT_TRUE(pipe.first.closed());
  EXPECT_EQ(pipe.first.fileno(), -1);
  EXPECT_THROW(pipe.first.send(1), std::logic_error);
  EXPECT_THROW(pipe.first.recv<int>(), std::logic_error);
  EXPECT_THROW(pipe.first.poll(), std::logic_error);
  EXPECT_THROW(pipe.first.send_descriptor(0), std::logic_error);
  EXPECT_THROW(pipe.first.recv_descriptor(), std::logic_error);
}

TEST(Connection, AMessageAboveTheLimitIsAnErrorAndNothingIsSent) {
  Pipe pipe;
  const std::byte anything{};
  // Never read, since it is refused by its length.
  const BytesView too_long(&anything, Connection::largest_message + 1);
  EXPECT_THROW(pipe.first.send_bytes(too_long), std::length_error);
  EXPECT_FALSE(pipe.second.poll());
}

TEST(Connection, AMessageOfAnotherTypeIsTold) {
  Pipe pipe;
  pipe.first.send(std::int8_t{1});
  EXPECT_THROW(pipe.second.recv<int>(), DecodeError);
  pipe.first.send(2);
  EXPECT_EQ(pipe.second.recv<int>(), 2);
}

/// What send_descriptor of a file for writing lets another process write into it.
std::string written_through(int descriptor_number) {
  const tests::TempDir dir;
  const std::string path = dir.path("file");
  Pipe pipe;
  const pid_t child = start_with(pipe.second, [](Connection& end) {
    const auto file = end.recv_descriptor();
    return file && write(file->get(), "foo", 3) == 3 ? 0 : 1;
  });
  sys::Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (descriptor_number != -1) file.reset(fcntl(file.get(), F_DUPFD_CLOEXEC, descriptor_number));
  pipe.first.send_descriptor(file.get());
  file.reset();
  EXPECT_EQ(tests::exitcode_of(child), 0);
  return tests::content_of(path);
}

TEST(Connection, ADescriptorCrosses) {
  PROVES("cpython:test_fd_transfer");
  EXPECT_EQ(written_through(-1), "foo");
}

TEST(Connection, ALargeDescriptorNumberCrosses) {
  PROVES("cpython:test_large_fd_transfer");
  EXPECT_EQ(written_through(300), "foo");
}

TEST(Connection, AReceivedDescriptorIsCloseOnExec) {
  Pipe pipe;
  pipe.first.send_descriptor(STDERR_FILENO);
  const auto received = pipe.second.recv_descriptor();
  ASSERT_TRUE(received);
  EXPECT_NE(fcntl(received->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Connection, AnAttemptToReceiveADescriptorDoesNotWait) {
  using Met = Connection::Met;
  Pipe pipe;
  EXPECT_EQ(pipe.second.attempt_recv_descriptor(Connection::Wait::no).met, Met::nothing);
  pipe.first.send_descriptor(STDERR_FILENO);
  const auto attempt = pipe.second.attempt_recv_descriptor(Connection::Wait::no);
  EXPECT_EQ(attempt.met, Met::message);
  EXPECT_TRUE(attempt.descriptor);
  pipe.first.send(1);
  EXPECT_THROW(pipe.second.attempt_recv_descriptor(Connection::Wait::no), std::logic_error);
  pipe.first.close();
  EXPECT_EQ(pipe.second.attempt_recv_descriptor(Connection::Wait::no).met, Met::end_of_file);
}

/// A worker that waits for a connection to be passed on hears that it shall leave.
TEST(Connection, ASignalEndsTheWaitForADescriptor) {
  Pipe pipe;
  tests::Gate prepared;
  const pid_t waiting = tests::start_child([&] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    prepared.open();
    const auto attempt = pipe.second.attempt_recv_descriptor(Connection::Wait::within_patience);
    return attempt.met == Connection::Met::nothing ? 0 : 1;
  });
  ASSERT_TRUE(prepared.pass());
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
    kill(waiting, SIGUSR1);
    return tests::state_of(waiting) == 'Z';
  }));
  EXPECT_EQ(tests::exitcode_of(waiting), 0);
}

TEST(Connection, ADescriptorIsNotSentWhereThereIsNoRoom) {
  Pipe pipe;
  int sent = 0;
  while (pipe.first.send_descriptor(STDERR_FILENO, sys::Deadline::immediately())) ++sent;
  EXPECT_GT(sent, 1);
  for (int i = 0; i < sent; ++i) EXPECT_TRUE(pipe.second.recv_descriptor());
  EXPECT_FALSE(pipe.second.poll());
  EXPECT_TRUE(pipe.first.send_descriptor(STDERR_FILENO, sys::Deadline::immediately()));
}

TEST(Connection, AMissingDescriptorIsTold) {
  PROVES("cpython:test_missing_fd_transfer");
  Pipe pipe;
  pipe.first.send(1);
  EXPECT_THROW(pipe.second.recv_descriptor(), std::logic_error);
  ASSERT_EQ(write(pipe.first.fileno(), "", 1), 1);  // past the library, as CPython's test does
  EXPECT_THROW(pipe.second.recv_descriptor(), DecodeError);
}

TEST(Connection, ADescriptorThatIsNoneIsAnError) {
  Pipe pipe;
  EXPECT_THROW(pipe.first.send_descriptor(-1), std::invalid_argument);
  EXPECT_THROW(pipe.first.send_descriptor(-2), std::invalid_argument);
  EXPECT_THROW(pipe.first.send_descriptor(1 << 20), std::system_error);
  EXPECT_FALSE(pipe.second.poll());
}

TEST(Connection, ASocketWithoutPacketsIsAnError) {
  EXPECT_THROW(Connection(sys::Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))),
               std::invalid_argument);
  EXPECT_THROW(Connection(sys::Descriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))),
               std::invalid_argument);
  tests::Pipe no_socket;
  EXPECT_THROW(Connection(std::move(no_socket.read)), std::invalid_argument);
  EXPECT_NO_THROW(Connection(sys::Descriptor(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0))));
}

TEST(Connection, APipesEndsAreNoStandardDescriptors) {
  EXPECT_EQ(
      tests::exitcode_in_child([] {
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        const Pipe pipe;
        return pipe.first.fileno() > STDERR_FILENO && pipe.second.fileno() > STDERR_FILENO ? 0 : 1;
      }),
      0);
}

TEST(Connection, AMessageOfTheWrongKindLeaksNoDescriptor) {
  Pipe pipe;
  const auto before = tests::descriptors_of(getpid());
  pipe.first.send_descriptor(STDERR_FILENO);
  EXPECT_THROW(pipe.second.recv<int>(), std::logic_error);
  pipe.first.send_bytes(pattern(Connection::inline_limit + 1));
  EXPECT_THROW(pipe.second.recv_descriptor(), std::logic_error);
  pipe.first.send_bytes(pattern(Connection::inline_limit + 1));
  EXPECT_THROW(pipe.second.recv<int>(), DecodeError);
  EXPECT_EQ(tests::descriptors_of(getpid()), before);
}

/// Sends `bytes` with two descriptors, as no Connection does.
void send_with_two_descriptors(int socket, BytesView bytes) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  const std::array<int, 2> descriptors{STDERR_FILENO, STDERR_FILENO};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof descriptors)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
  ASSERT_EQ(sendmsg(socket, &message, 0), static_cast<ssize_t>(bytes.size()));
}

TEST(Connection, AStrangersDescriptorsDoNotLeak) {
  Pipe pipe;
  const auto before = tests::descriptors_of(getpid());
  send_with_two_descriptors(pipe.first.fileno(), pattern(3));
  EXPECT_THROW(pipe.second.recv_bytes(), DecodeError);
  send_with_two_descriptors(pipe.first.fileno(), pattern(100));
  EXPECT_ANY_THROW(pipe.second.recv_bytes());
  EXPECT_EQ(tests::descriptors_of(getpid()), before);
}

TEST(Connection, NoFreeDescriptorIsTold) {
  Pipe pipe;
  const pid_t child = start_with(pipe.second, [](Connection& end) {
    const rlimit none{.rlim_cur = 3, .rlim_max = 3};
    if (setrlimit(RLIMIT_NOFILE, &none) != 0) return 1;
    try {
      end.recv_bytes();
    } catch (const std::system_error& error) {
      if (error.code().value() != EMFILE) return 2;
      return end.recv<int>() == 5 ? 0 : 3;  // the next message is whole
    }
    return 4;
  });
  pipe.first.send_bytes(pattern(1 << 20));
  pipe.first.send(5);
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(ConnectionPoll, AnEmptyMessageIsOne) {
  PROVES("cpython:TestPoll");
  Pipe pipe;
  EXPECT_FALSE(pipe.first.poll());
  pipe.second.send_bytes({});
  EXPECT_TRUE(pipe.first.poll());
  EXPECT_TRUE(pipe.first.poll());
  EXPECT_EQ(pipe.first.recv_bytes(), Bytes());
  EXPECT_FALSE(pipe.first.poll());
}

TEST(ConnectionPoll, MessagesKeepTheirOrderAndEmptyOnesCount) {
  PROVES("cpython:TestPoll");
  const std::vector<std::string> texts{"hello", "", "a", "b", "", "bye", "", "lop"};
  Pipe pipe;
  const pid_t child = start_with(pipe.second, [&](Connection& end) {
    for (const auto& text : texts) end.send_bytes(bytes_of(text));
    return 0;
  });
  for (const auto& text : texts) {
    ASSERT_TRUE(pipe.first.poll(patience()));
    EXPECT_EQ(pipe.first.recv_bytes(), bytes_of(text));
  }
  EXPECT_EQ(pipe.first.recv_bytes(), std::nullopt);
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(ConnectionPoll, PollTakesNoPartOfAMessageAway) {
  PROVES("cpython:TestPoll");
  Pipe pipe(Duplex::no);
  const pid_t poller = tests::start_child([&] { return pipe.first.poll(patience()) ? 0 : 1; });
  ASSERT_TRUE(tests::sleeps(poller));
  for (const char* text : {"first", "second"}) pipe.second.send_bytes(bytes_of(text));
  pipe.second.close();
  EXPECT_EQ(tests::exitcode_of(poller), 0);
  EXPECT_EQ(pipe.first.recv_bytes(), bytes_of("first"));
  EXPECT_EQ(pipe.first.recv_bytes(), bytes_of("second"));
}

TEST(ConnectionPoll, MessagesAreNotMerged) {
  PROVES("cpython:TestPoll");
  Pipe pipe;
  EXPECT_FALSE(pipe.first.poll());
  EXPECT_FALSE(pipe.first.poll(soon()));
  const pid_t child = start_with(pipe.second, [](Connection& end) {
    for (const char* text : {"a", "b", "cd"}) end.send_bytes(bytes_of(text));
    return 0;
  });
  EXPECT_EQ(pipe.first.recv_bytes(), bytes_of("a"));
  EXPECT_TRUE(pipe.first.poll(patience()));
  EXPECT_TRUE(pipe.first.poll(patience()));
  EXPECT_EQ(pipe.first.recv_bytes(), bytes_of("b"));
  EXPECT_TRUE(pipe.first.poll(patience()));
  EXPECT_TRUE(pipe.first.poll());
  EXPECT_EQ(pipe.first.recv_bytes(), bytes_of("cd"));
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

/// A handler without SA_RESTART that counts where the parent sees it.
std::atomic<int>* signals_seen = nullptr;

void count_signals(RawValue<std::atomic<int>>& seen) {
  signals_seen = &*seen;
  struct sigaction action {};
  action.sa_handler = [](int) { signals_seen->fetch_add(1); };
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
}

/// Signals `pid` while it sleeps in a call, three times; true once each was handled and it sleeps
/// again.
bool interrupt(pid_t pid, RawValue<std::atomic<int>>& seen) {
  for (int i = 0; i < 3; ++i) {
    if (!tests::sleeps(pid)) return false;
    const int before = *seen;
    kill(pid, SIGUSR1);
    if (!tests::eventually(patience(), [&] { return *seen > before; })) return false;
  }
  return tests::sleeps(pid);
}

TEST(ConnectionSignals, RecvPollAndSendGoOnAfterAHandler) {
  PROVES("cpython:TestIgnoreEINTR");
  RawValue<std::atomic<int>> seen;
  Pipe pipe;
  const Bytes message = pattern(1000);
  const pid_t child = start_with(pipe.second, [&](Connection& end) {
    pipe.first.close();
    count_signals(seen);
    end.send(std::string("ready"));
    end.send(*end.recv<int>());
    if (!end.poll(patience())) return 1;
    end.send(*end.recv<int>());
    for (int i = 0; i < 2000; ++i) end.send_bytes(message);  // no deadline
    for (int i = 0; i < 2000; ++i) {
      if (!end.send_bytes(message, patience())) return 2;
    }
    return 0;
  });
  EXPECT_EQ(pipe.first.recv<std::string>(), "ready");
  for (const int value : {1234, 5678}) {  // in recv, then in poll
    EXPECT_TRUE(interrupt(child, seen));
    pipe.first.send(value);
    EXPECT_EQ(pipe.first.recv<int>(), value);
  }
  for (int i = 0; i < 4000; ++i) {  // in a full send, without a deadline and with one
    if (i == 0 || i == 2000) {
      EXPECT_TRUE(interrupt(child, seen));
    }
    ASSERT_EQ(pipe.first.recv_bytes(), message) << i;
  }
  EXPECT_EQ(tests::exitcode_of(child), 0);
  EXPECT_EQ(*seen, 12);
}

TEST(ConnectionSend, HasADeadlineWhenNobodyReads) {
  Pipe pipe;
  for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, Connection::inline_limit}) {
    const Bytes message = pattern(size);
    const int sent = fill(pipe.first, message);
    EXPECT_GT(sent, 0);
    const Deadline deadline = soon();
    EXPECT_FALSE(pipe.first.send_bytes(message, deadline));
    EXPECT_TRUE(deadline.passed());
    for (int i = 0; i < sent; ++i) ASSERT_EQ(pipe.second.recv_bytes(), message);
    EXPECT_FALSE(pipe.second.poll()) << "what was not sent arrived";
  }
}

TEST(ConnectionSend, ALargeMessageThatFindsNoRoomLeavesNothing) {
  Pipe pipe;
  const int sent = fill(pipe.first, pattern(100));
  const auto before = tests::descriptors_of(getpid());
  EXPECT_FALSE(pipe.first.send_bytes(pattern(1 << 20), soon()));
  EXPECT_EQ(tests::descriptors_of(getpid()), before);
  for (int i = 0; i < sent; ++i) ASSERT_EQ(pipe.second.recv_bytes(), pattern(100));
  EXPECT_FALSE(pipe.second.poll());
}

TEST(ConnectionSend, GoesOnWhenThereIsRoom) {
  Pipe pipe;
  fill(pipe.first, pattern(1000));
  const pid_t reader = tests::start_child([&] {
    pipe.first.close();
    while (pipe.second.recv_bytes()) continue;
    return 0;
  });
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(pipe.first.send_bytes(pattern(1000), patience()));
  pipe.first.close();
  EXPECT_EQ(tests::exitcode_of(reader), 0);
}

// Room for one message is not yet what poll calls writable.
TEST(ConnectionSend, TakesWhatRoomThereIsAtItsDeadline) {
  Pipe pipe;
  fill(pipe.first, pattern(4096));
  tests::Gate received;
  const pid_t sender = tests::start_child([&] {
    const bool sent =
        pipe.first.send_bytes(pattern(4096), Deadline::after(std::chrono::seconds(1)));
    return received.pass(Deadline::immediately()) && sent ? 0 : 1;
  });
  EXPECT_TRUE(tests::sleeps(sender));
  EXPECT_TRUE(pipe.second.recv_bytes());
  received.open();
  EXPECT_EQ(tests::exitcode_of(sender), 0);
}

TEST(ConnectionSend, FindsItsRoomOnANonBlockingSocketToo) {
  Pipe pipe;
  set_non_blocking(pipe.first);
  fill(pipe.first, pattern(4096));
  const pid_t reader = start_with(pipe.second, [&](Connection& end) {
    pipe.first.close();
    while (end.recv_bytes()) continue;
    return 0;
  });
  EXPECT_TRUE(pipe.first.send_bytes(pattern(4096)));
  pipe.first.close();
  EXPECT_EQ(tests::exitcode_of(reader), 0);
}

TEST(Connection, ReceivingOnANonBlockingSocketSleeps) {
  Pipe pipe;
  set_non_blocking(pipe.second);
  Connection& receiving = pipe.second;
  const pid_t reader = tests::start_child([&] {
    if (receiving.recv<int>() != 1) return 1;
    return receiving.recv_descriptor() ? 0 : 2;
  });
  EXPECT_TRUE(tests::sleeps(reader));
  pipe.first.send(1);
  EXPECT_TRUE(tests::sleeps(reader));
  pipe.first.send_descriptor(STDERR_FILENO);
  EXPECT_EQ(tests::exitcode_of(reader), 0);
}

TEST(ConnectionAttempt, WaitsNotAtAllOrForItsPatience) {
  Pipe pipe;
  using Wait = Connection::Wait;
  using Met = Connection::Met;
  pipe.first.set_patience(std::chrono::milliseconds(20));
  EXPECT_EQ(pipe.first.attempt_recv(Wait::no).met, Met::nothing);
  const auto begin = sys::Clock::now();
  EXPECT_EQ(pipe.first.attempt_recv(Wait::within_patience).met, Met::nothing);
  EXPECT_GE(sys::Clock::now() - begin, std::chrono::milliseconds(15));
  for (const std::size_t size : {std::size_t{3}, std::size_t{1} << 20}) {
    pipe.second.send_bytes(pattern(size));
    const auto attempt = pipe.first.attempt_recv(Wait::no);
    ASSERT_EQ(attempt.met, Met::message);
    EXPECT_EQ(Bytes(attempt.bytes.begin(), attempt.bytes.end()), pattern(size));
  }
  // recv is not bounded by it.
  const pid_t child = start_with(pipe.second, [](Connection& end) {
    poll(nullptr, 0, 60);
    return end.send(9) ? 0 : 1;
  });
  EXPECT_EQ(pipe.first.recv<int>(), 9);
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

/// What one of several writers sends: who, which, and as many bytes as that decides.
struct Numbered {
  int writer;
  int number;
  Bytes body;
  static std::size_t size_of(int writer, int number) {
    return number % 10 == 9 ? Connection::inline_limit + writer : std::size_t(number * 7 + writer);
  }
  void encode(Encoder& to) const {
    to.put(writer);
    to.put(number);
    to.put(body);
  }
  static Numbered decode(Decoder& from) {
    return {from.get<int>(), from.get<int>(), from.get<Bytes>()};
  }
};

TEST(Connection, ManyWritersOnOneEndTearNoMessage) {
  constexpr int writers = 4;
  constexpr int messages = 200;
  Pipe pipe(Duplex::no);
  std::vector<pid_t> children;
  for (int writer = 0; writer < writers; ++writer) {
    children.push_back(tests::start_child([&] {
      for (int i = 0; i < messages; ++i)
        pipe.second.send(Numbered{writer, i, pattern(Numbered::size_of(writer, i))});
      return 0;
    }));
  }
  pipe.second.close();
  std::array<int, writers> next{};
  while (const auto message = pipe.first.recv<Numbered>()) {
    ASSERT_EQ(message->number, next.at(message->writer)++);
    ASSERT_EQ(message->body, pattern(Numbered::size_of(message->writer, message->number)));
  }
  for (const int count : next) EXPECT_EQ(count, messages);
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(Connection, ManyReadersOnOneEndShareTheMessages) {
  constexpr int messages = 1000;
  Pipe pipe(Duplex::no);
  RawArray<std::atomic<int>> received(messages);
  std::vector<pid_t> children;
  for (int reader = 0; reader < 4; ++reader) {
    children.push_back(tests::start_child([&] {
      pipe.second.close();
      while (const auto number = pipe.first.recv<int>()) received[*number].fetch_add(1);
      return 0;
    }));
  }
  for (int i = 0; i < messages; ++i) pipe.second.send(i);
  pipe.second.close();
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
  for (int i = 0; i < messages; ++i) EXPECT_EQ(received[i], 1) << i;
}

TEST(Connection, AConnectionMayMove) {
  Pipe pipe;
  Connection moved = std::move(pipe.first);
  EXPECT_TRUE(pipe.first.closed());
  moved.send(3);
  EXPECT_EQ(pipe.second.recv<int>(), 3);
}

}  // namespace
}  // namespace forkecho::mp
