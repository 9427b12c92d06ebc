// `forkecho connect` at a terminal, in a pipe and with --message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/proves.h"
#include "tests/support/scripted_server.h"
#include "tests/support/terminal.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

const std::string text = "Straße, ŉ und ﬁ: ὕπνος\n";
const std::string text_in_capitals = "STRASSE, ʼN UND FI: ὝΠΝΟΣ\n";

/// Answers the first thing that it hears, and leaves.
void answer_once(int socket) {
  char request[256];
  if (read(socket, request, sizeof request) <= 0) return;
  if (write(socket, "HELLO\n", 6) != 6) return;
}

using testing::EndsWith;
using testing::HasSubstr;

TEST(ConnectAtATerminal, PromptsSendsALineShowsTheReply) {
  DaemonUnderTest daemon;
  Terminal terminal;
  Program connect(forkecho, {"connect", daemon.target()}, terminal.options());
  EXPECT_EQ(terminal.read_until("> "), "> ");
  terminal.type("hello\n");
  // The terminal itself shows what is typed.
  EXPECT_EQ(terminal.read_until("HELLO\r\n> "), "hello\r\nHELLO\r\n> ");
  terminal.type(text);
  EXPECT_THAT(terminal.read_until("ὝΠΝΟΣ\r\n> "), EndsWith("STRASSE, ʼN UND FI: ὝΠΝΟΣ\r\n> "));
  terminal.type("\x04");  // Ctrl-D
  EXPECT_EQ(connect.wait(), 0);
  EXPECT_EQ(connect.err(), "");
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->served, 1U);
}

TEST(ConnectAtATerminal, AServerThatEndsFirstIsToldAtOnce) {
  ScriptedServer server(answer_once);
  Terminal terminal;
  Program connect(forkecho, {"connect", server.target()}, terminal.options());
  terminal.read_until("> ");
  terminal.type("hello\n");
  EXPECT_THAT(terminal.read_until("HELLO\r\n"), HasSubstr("HELLO\r\n"));
  // Nobody types: it must notice by itself.
  EXPECT_EQ(connect.wait(), 1);
  EXPECT_TRUE(is_one_line(connect.err())) << connect.err();
  EXPECT_THAT(connect.err(), HasSubstr(server.target()));
}

TEST(ConnectAtATerminal, AServerThatIsNotThereIsTold) {
  Terminal terminal;
  const std::string target = unanswered_target();
  Program connect(forkecho, {"connect", target}, terminal.options());
  EXPECT_EQ(connect.wait(), 69);
  EXPECT_TRUE(is_one_line(connect.err())) << connect.err();
  EXPECT_THAT(connect.err(), HasSubstr(target));
}

ProgramOptions reading_from(const Pipe& pipe) {
  const int end = pipe.read.get();
  return {.input = {},
          .before_exec = [end] { sys::check_syscall(dup2(end, STDIN_FILENO), "dup2"); },
          .own_session = false};
}

void write_to(const Pipe& pipe, std::string_view data) {
  ASSERT_EQ(write(pipe.write.get(), data.data(), data.size()), static_cast<ssize_t>(data.size()));
}

TEST(ConnectInAPipe, EachReplyComesWithoutWaitingForTheEnd) {
  DaemonUnderTest daemon;
  Pipe pipe;
  Program connect(forkecho, {"connect", daemon.target()}, reading_from(pipe));
  write_to(pipe, "hello\n");
  EXPECT_TRUE(eventually(patience(), [&] { return connect.out() == "HELLO\n"; })) << connect.out();
  write_to(pipe, text.substr(0, 5));  // ends within a character
  write_to(pipe, text.substr(5));
  EXPECT_TRUE(eventually(patience(), [&] { return connect.out() == "HELLO\n" + text_in_capitals; }))
      << connect.out();
  pipe.write.reset();
  EXPECT_EQ(connect.wait(), 0);
  EXPECT_EQ(connect.err(), "");
}

TEST(ConnectInAPipe, AnEmptyInputIsNoError) {
  DaemonUnderTest daemon;
  const Outcome outcome = run_program(forkecho, {"connect", daemon.target()});
  EXPECT_EQ(outcome.exitcode, 0);
  EXPECT_EQ(outcome.out, "");
}

TEST(ConnectInAPipe, ALargeInputComesBackWhole) {
  DaemonUnderTest daemon({"--transform", "none"});
  const TempDir directory;
  std::string content;
  for (int i = 0; content.size() < 20'000'000; ++i) content += std::to_string(i) + "\n";
  write_file(directory.path("input"), content);
  const Outcome outcome =
      run_program(forkecho, {"connect", daemon.target()},
                  {.input = directory.path("input"), .before_exec = {}, .own_session = false});
  EXPECT_EQ(outcome.exitcode, 0) << outcome.err;
  EXPECT_TRUE(outcome.out == content) << outcome.out.size() << " bytes of " << content.size();
}

TEST(ConnectInAPipe, AServerThatEndsFirstIsAnErrorAndWhatItSaidIsPrinted) {
  ScriptedServer server(answer_once);
  Pipe pipe;
  Program connect(forkecho, {"connect", server.target()}, reading_from(pipe));
  write_to(pipe, "hello\n");
  EXPECT_EQ(connect.wait(), 1);
  EXPECT_EQ(connect.out(), "HELLO\n");
  EXPECT_TRUE(is_one_line(connect.err())) << connect.err();
}

TEST(ConnectWithMessage, RepeatsItAndEnds) {
  PROVES("3.11");
  DaemonUnderTest daemon;
  const auto start = sys::Clock::now();
  const Outcome outcome = run_program(forkecho, {"connect", daemon.target(), "--message", "grüße",
                                                 "--every", "50ms", "--count", "4"});
  EXPECT_EQ(outcome.exitcode, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "GRÜSSE\nGRÜSSE\nGRÜSSE\nGRÜSSE\n");
  EXPECT_GE(sys::Clock::now() - start, 150ms);
}

TEST(ConnectWithMessage, AServerThatEndsFirstIsAnError) {
  ScriptedServer server(answer_once);
  const Outcome outcome = run_program(forkecho, {"connect", server.target(), "--message", "hello",
                                                 "--every", "10ms", "--count", "3"});
  EXPECT_EQ(outcome.exitcode, 1);
  EXPECT_EQ(outcome.out, "HELLO\n");
  EXPECT_TRUE(is_one_line(outcome.err)) << outcome.err;
}

}  // namespace
}  // namespace forkecho::tests
