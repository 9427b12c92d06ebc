#include "client/connect.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "client/first_connection.h"
#include "common/mp/process.h"
#include "common/sys/check_syscall.h"
#include "tests/support/echo_double.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::EchoDouble;

struct Pipe {
  sys::Descriptor read_end;
  sys::Descriptor write_end;
  Pipe() {
    int fds[2];
    sys::check_syscall(pipe2(fds, O_CLOEXEC), "pipe2");
    read_end.reset(fds[0]);
    write_end.reset(fds[1]);
  }
};

sys::Descriptor connect_to(const EchoDouble& server) {
  return connect_first(server.target(), 5s, sys::Deadline::after(0ns)).socket;
}

void write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    data.remove_prefix(
        static_cast<std::size_t>(sys::check_syscall(write(fd, data.data(), data.size()), "write")));
  }
}

std::string read_all(int fd) {
  std::string all;
  char buffer[64 * 1024];
  for (ssize_t count = 0; (count = read(fd, buffer, sizeof buffer)) > 0;) {
    all.append(buffer, static_cast<std::size_t>(count));
  }
  return all;
}

std::string copy(const EchoDouble& server, std::string_view input, ConnectEnd& end,
                 bool prompts = false) {
  Pipe in;
  Pipe out;
  write_all(in.write_end.get(), input);
  in.write_end.reset();
  end = copy_both_ways(
      connect_to(server),
      {.input = in.read_end.get(), .output = out.write_end.get(), .prompts = prompts});
  out.write_end.reset();
  return read_all(out.read_end.get());
}

TEST(Connect, CopiesThePipeAndEveryReplyByte) {
  const EchoDouble server;
  ConnectEnd end{};
  EXPECT_EQ(copy(server, "hello\nworld, no newline", end), "HELLO\nWORLD, NO NEWLINE");
  EXPECT_EQ(end, ConnectEnd::finished);
}

TEST(Connect, EmptyInputIsJustAnEnd) {
  const EchoDouble server;
  ConnectEnd end{};
  EXPECT_EQ(copy(server, "", end), "");
  EXPECT_EQ(end, ConnectEnd::finished);
}

TEST(Connect, PromptsWhenItIsThePersonsTurn) {
  const EchoDouble server;
  ConnectEnd end{};
  EXPECT_EQ(copy(server, "grüße\n", end, true), "> GRüßE\n> \n");  // the double knows ASCII alone
}

TEST(Connect, MoreThanAllBuffersHoldGoesThroughBothWays) {
  constexpr std::size_t size = 64 * 1024 * 1024;
  const EchoDouble server;
  Pipe in;
  Pipe out;
  mp::Process writer([&] {
    in.read_end.reset();
    const std::string block(1 << 20, 'a');
    for (std::size_t sent = 0; sent < size; sent += block.size())
      write_all(in.write_end.get(), block);
  });
  writer.start();
  in.write_end.reset();
  mp::Process reader([&] {
    out.write_end.reset();
    char buffer[64 * 1024];
    std::size_t capitals = 0;
    for (ssize_t count = 0; (count = read(out.read_end.get(), buffer, sizeof buffer)) > 0;) {
      capitals += static_cast<std::size_t>(std::count(buffer, buffer + count, 'A'));
    }
    mp::leave(capitals == size ? 0 : 3);
  });
  reader.start();
  out.read_end.reset();
  EXPECT_EQ(copy_both_ways(connect_to(server),
                           {.input = in.read_end.get(), .output = out.write_end.get()}),
            ConnectEnd::finished);
  out.write_end.reset();
  writer.join();
  reader.join();
  EXPECT_EQ(writer.exitcode(), 0);
  EXPECT_EQ(reader.exitcode(), 0);
}

TEST(Connect, ServerThatLeavesFirstIsNoticedWithoutInput) {
  const EchoDouble server({.answer = Answer::then_leave, .request_size = 6});
  Pipe in;
  const Pipe out;
  write_all(in.write_end.get(), "hello\n");  // and the end of input never comes
  EXPECT_EQ(copy_both_ways(connect_to(server),
                           {.input = in.read_end.get(), .output = out.write_end.get()}),
            ConnectEnd::server_left);
}

TEST(Connect, ResetIsNoGoodEnd) {
  const EchoDouble server({.answer = Answer::reset, .request_size = 6});
  ConnectEnd end{};
  copy(server, "hello\n", end);
  EXPECT_EQ(end, ConnectEnd::server_left);
}

std::string send(const EchoDouble& server, MessageOptions options, ConnectEnd& end) {
  Pipe out;
  options.output = out.write_end.get();
  end = send_messages(connect_to(server), options);
  out.write_end.reset();
  return read_all(out.read_end.get());
}

TEST(Connect, SendsAMessageAsOftenAsAsked) {
  const EchoDouble server;
  ConnectEnd end{};
  const auto begin = sys::Clock::now();
  EXPECT_EQ(send(server, {.text = "hello", .every = 50ms, .count = 3}, end),
            "HELLO\nHELLO\nHELLO\n");
  EXPECT_EQ(end, ConnectEnd::finished);
  EXPECT_GE(sys::Clock::now() - begin, 100ms);
  EXPECT_EQ(server.books().accepted, 1U);
}

TEST(Connect, MessageOfSeveralLinesHasAsManyReplies) {
  const EchoDouble server;
  ConnectEnd end{};
  EXPECT_EQ(send(server, {.text = "one\ntwo", .count = 1}, end), "ONE\nTWO\n");
}

TEST(Connect, ServerThatLeavesBetweenMessagesIsNoticedAtOnce) {
  const EchoDouble server({.answer = Answer::then_leave, .request_size = 6});
  ConnectEnd end{};
  EXPECT_EQ(send(server, {.text = "hello", .every = 1h, .count = {}}, end), "HELLO\n");
  EXPECT_EQ(end, ConnectEnd::server_left);
}

}  // namespace
}  // namespace forkecho::client
