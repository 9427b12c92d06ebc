#include "client/terminal_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace forkecho::client {
namespace {

using ::testing::HasSubstr;

TEST(TerminalProgress, LineHasRateErrorsAndPercentiles) {
  const std::string line = progress_line(
      {.t_s = 3, .completed = 500, .errors = 7, .p50_ns = 81'200, .p99_ns = 1'250'000}, 0.5);
  EXPECT_THAT(line, HasSubstr("3 s"));
  EXPECT_THAT(line, HasSubstr("1000/s"));
  EXPECT_THAT(line, HasSubstr("7 errors"));
  EXPECT_THAT(line, HasSubstr("p50  81.2 µs"));
  EXPECT_THAT(line, HasSubstr("p99  1.25 ms"));
}

TEST(TerminalProgress, MissingPercentilesAreDashes) {
  EXPECT_THAT(progress_line({.t_s = 1}, 1), HasSubstr("p50        -"));
}

TEST(TerminalProgress, WritesOneLineForEachSecond) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* stream = open_memstream(&text, &size);
  TerminalProgress progress(stream);
  progress.second_passed({.t_s = 1, .completed = 10});
  progress.second_passed({.t_s = 3, .completed = 10});
  std::fclose(stream);
  const std::string written(text, size);
  std::free(text);
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 2);
  EXPECT_THAT(written, HasSubstr(" 10/s"));
  EXPECT_THAT(written, HasSubstr(" 5/s"));
}

}  // namespace
}  // namespace forkecho::client
