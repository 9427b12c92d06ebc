#include "server/log_relay.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <set>
#include <sstream>

#include "common/mp/process.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"

namespace forkecho::server {
namespace {

class LogRelayTest : public testing::Test {
 protected:
  void write(std::string_view text) {
    EXPECT_EQ(::write(relay_.writer(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }

  asio::io_context context_{1};
  std::string passed_;
  LogRelay relay_{context_, [this](std::string_view lines) { passed_ += lines; }};
};

TEST_F(LogRelayTest, PassesOnWhatIsWrittenAsTheLoopRuns) {
  write("one\n");
  write("two\nthree\n");
  EXPECT_TRUE(tests::eventually(tests::patience(), [this] {
    context_.poll();
    return passed_ == "one\ntwo\nthree\n";
  }));
  write("four\n");
  EXPECT_TRUE(tests::eventually(tests::patience(), [this] {
    context_.poll();
    return passed_ == "one\ntwo\nthree\nfour\n";
  }));
}

TEST_F(LogRelayTest, PassesOnAllAtOnceWhenAsked) {
  relay_.pass_on_all();
  EXPECT_EQ(passed_, "");
  for (int i = 0; i < 3000; ++i) write("a line of the log\n");
  relay_.pass_on_all();
  EXPECT_EQ(passed_.size(), 3000 * 18U);
}

TEST_F(LogRelayTest, NeverBlocksAWriter) {
  const std::string line(1000, 'x');
  int written = 0;
  while (::write(relay_.writer(), line.data(), line.size()) > 0 && written < 1'000'000) ++written;
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_GE(written, 50);
}

TEST_F(LogRelayTest, ALineWithoutAnEndWaitsForItButNotForEver) {
  write("beg");
  relay_.pass_on_all();
  EXPECT_EQ(passed_, "");
  write("in\n");
  relay_.pass_on_all();
  EXPECT_EQ(passed_, "begin\n");
  for (int i = 0; i < 100; ++i) {
    write(std::string(4096, 'x'));
    relay_.pass_on_all();
  }
  EXPECT_GT(passed_.size(), 65536U);
}

TEST_F(LogRelayTest, LinesOfManyProcessesAreWholeAndNoneIsLost) {
  constexpr int writers = 4;
  constexpr int lines = 2000;
  std::vector<mp::Process> processes;
  for (int w = 0; w < writers; ++w) {
    processes.emplace_back([w, fd = relay_.writer()] {
      for (int i = 0; i < lines;) {
        const std::string line = std::to_string(w) + " " + std::to_string(i) + " " +
                                 std::string(static_cast<std::size_t>(i % 300), 'x') + ".\n";
        if (::write(fd, line.data(), line.size()) > 0) {
          ++i;
        } else {
          poll(nullptr, 0, 1);
        }
      }
    });
    processes.back().start();
  }
  for (mp::Process& process : processes) {
    while (!process.join(sys::Deadline::after(std::chrono::milliseconds(1)))) relay_.pass_on_all();
  }
  relay_.pass_on_all();
  std::istringstream stream(passed_);
  std::vector<int> next(writers, 0);
  for (std::string line; std::getline(stream, line);) {
    int w = -1;
    int i = -1;
    ASSERT_EQ(std::sscanf(line.c_str(), "%d %d", &w, &i), 2) << line;
    ASSERT_TRUE(w >= 0 && w < writers) << line;
    EXPECT_EQ(i, next[static_cast<std::size_t>(w)]++);
    EXPECT_EQ(line.back(), '.');
  }
  EXPECT_EQ(next, std::vector<int>(writers, lines));
}

}  // namespace
}  // namespace forkecho::server
