#include "common/mp/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <cwchar>
#include <string>
#include <thread>

#include "tests/support/child.h"
#include "tests/support/processes.h"

extern "C" {
void lock_streams_in_test() asm("_IO_list_lock");
void unlock_streams_in_test() asm("_IO_list_unlock");
}

namespace forkecho::mp {
namespace {

/// What arrives in a pipe while a child runs `body` on its writing end, and then _exits.
template <typename Body>
std::string output_of(Body body, int expected = 0) {
  tests::Pipe pipe;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              const int result = body(pipe.write.get());
              _exit(result);
              return 0;
            }),
            expected);
  pipe.write.reset();
  char text[100] = "";
  const ssize_t length = read(pipe.read.get(), text, sizeof text - 1);
  return {text, static_cast<std::size_t>(length)};
}

TEST(Output, OfEveryStreamIsWritten) {
  EXPECT_EQ(output_of([](int out) {
              dup2(out, STDOUT_FILENO);
              std::printf("a");
              if (!flush_output()) return 1;
              FILE* const other = fdopen(dup(out), "w");
              std::fputs("b", other);
              return flush_output() ? 0 : 2;
            }),
            "ab");
}

TEST(Output, OfAWideStreamIsWritten) {
  EXPECT_EQ(output_of([](int out) {
              FILE* const wide = fdopen(dup(out), "w");
              std::fputws(L"wide", wide);
              return flush_output() ? 0 : 1;
            }),
            "wide");
}

TEST(Output, NothingToWriteIsNoLossOnClosedStreams) {
  EXPECT_EQ(output_of([](int) {
              close(STDOUT_FILENO);
              return flush_output() ? 0 : 1;
            }),
            "");
}

/// A child's standard output that takes nothing.
void print_into_nothing() {
  dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
  std::printf("lost");
}

TEST(Output, ALossIsTold) {
  EXPECT_EQ(output_of([](int) {
              print_into_nothing();
              return flush_output() ? 1 : 0;
            }),
            "");
}

TEST(Output, AnEarlierLossOnStandardOutputIsTold) {
  EXPECT_EQ(output_of([](int out) {
              print_into_nothing();
              std::fflush(stdout);
              dup2(out, STDOUT_FILENO);
              return flush_output() ? 1 : 0;
            }),
            "");
}

/// A child's standard input: `text`, then end of file; the first character of it is read.
void read_ahead(const char* text) {
  tests::Pipe input;
  dup2(input.read.get(), STDIN_FILENO);
  const bool written = write(input.write.get(), text, std::strlen(text)) > 0;
  input.write.reset();
  if (!written || std::getchar() != *text) _exit(90);
}

TEST(Output, ReadAheadIsForgotten) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              read_ahead("abc");
              forget_inherited_input();
              return std::getchar() == EOF ? 0 : 1;
            }),
            0);
}

TEST(Output, AnEndOfInputIsForgotten) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              read_ahead("a");
              if (std::getchar() != EOF) return 1;
              forget_inherited_input();
              return std::feof(stdin) == 0 ? 0 : 2;
            }),
            0);
}

// Tests with threads run in a child: to have had one changes how output is flushed from then on.
TEST(Output, IsWrittenWhileNoThreadOpensOrClosesAStream) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              tests::Gate locked;
              std::atomic<bool> unlocks = false;
              std::thread closes([&] {
                lock_streams_in_test();
                locked.open();
                poll(nullptr, 0, 50);  // not for luck: without the lock it is not waited for
                unlocks = true;
                unlock_streams_in_test();
              });
              locked.pass();
              const bool flushed = flush_output();
              const bool waited = unlocks;
              closes.join();
              return flushed && waited ? 0 : 1;
            }),
            0);
}

TEST(Output, IsWrittenWhileAThreadWaitsForInput) {
  EXPECT_EQ(output_of([](int out) {
              tests::Pipe input;
              dup2(input.read.get(), STDIN_FILENO);
              dup2(out, STDOUT_FILENO);
              std::atomic<pid_t> id = 0;
              std::thread reads([&] {
                id = gettid();
                std::getchar();
              });
              while (id == 0) std::this_thread::yield();
              if (!tests::sleeps(id)) return 1;
              std::printf("written");
              const bool flushed = flush_output();
              if (write(input.write.get(), "x", 1) != 1) return 2;
              reads.join();
              return flushed ? 0 : 3;
            }),
            "written");
}

TEST(Output, InheritedIsForgotten) {
  EXPECT_EQ(output_of([](int out) {
              print_into_nothing();
              if (flush_output()) return 1;
              forget_inherited_output();
              dup2(out, STDOUT_FILENO);
              std::printf("own");
              return flush_output() ? 0 : 2;
            }),
            "own");
}

}  // namespace
}  // namespace forkecho::mp
