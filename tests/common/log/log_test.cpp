#include "common/log/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <system_error>
#include <vector>

#include "tests/support/child.h"

namespace forkecho::log {
namespace {

class LogTest : public testing::Test {
 protected:
  LogTest() {
    std::string pattern = testing::TempDir() + "forkecho-log-XXXXXX";
    sys::check_syscall(mkdtemp(pattern.data()) == nullptr ? -1 : 0, "mkdtemp");
    directory_ = pattern;
  }
  ~LogTest() override {
    open({});  // closes the test's file: the log is one for the whole program
    std::filesystem::remove_all(directory_);
  }
  std::string file() const { return directory_ / "log"; }
  void open_file(Format format = Format::text, Level level = Level::info) {
    open({.level = level, .format = format, .file = file()});
  }
  std::vector<std::string> lines() const {
    std::ifstream stream(file());
    std::vector<std::string> all;
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }
  std::filesystem::path directory_;
};

TEST_F(LogTest, ALineSaysWhenWhoHowBadAndWhat) {
  open_file();
  warning("{} of {}", 3, 4);
  ASSERT_EQ(lines().size(), 1U);
  const std::regex expected(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \[)" +
                            std::to_string(getpid()) + R"(\] warning: 3 of 4)");
  EXPECT_TRUE(std::regex_match(lines()[0], expected)) << lines()[0];
}

TEST_F(LogTest, AChildWritesItsOwnPid) {
  open_file();
  info("parent");
  const pid_t child = tests::start_child([] {
    info("child");
    return 0;
  });
  EXPECT_EQ(tests::exitcode_of(child), 0);
  ASSERT_EQ(lines().size(), 2U);
  EXPECT_NE(lines()[1].find('[' + std::to_string(child) + "] info: child"), std::string::npos)
      << lines()[1];
}

TEST_F(LogTest, LeavesOutWhatIsBelowItsLevel) {
  open_file(Format::text, Level::warning);
  debug("no");
  info("no");
  warning("yes");
  error("yes");
  EXPECT_EQ(lines().size(), 2U);
  EXPECT_FALSE(enabled(Level::info));
  EXPECT_TRUE(enabled(Level::error));
}

TEST_F(LogTest, AppendsToWhatIsThere) {
  std::ofstream(file()) << "before\n";
  open_file();
  info("after");
  ASSERT_EQ(lines().size(), 2U);
  EXPECT_EQ(lines()[0], "before");
}

TEST_F(LogTest, LinesOfManyProcessesStayWhole) {
  open_file();
  constexpr int processes = 8;
  constexpr int each = 500;
  tests::Gate begin;
  std::vector<pid_t> children;
  for (int p = 0; p < processes; ++p) {
    children.push_back(tests::start_child([&, p] {
      begin.pass();
      for (int n = 0; n < each; ++n)
        info("{} {} {}", p, n, std::string(static_cast<std::size_t>(n), 'x'));
      return 0;
    }));
  }
  begin.open();
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);

  std::map<int, int> next;  // of each process, in the order in which it wrote
  for (const std::string& line : lines()) {
    const std::string message = line.substr(line.find("info: ") + 6);
    int process = -1;
    int number = -1;
    ASSERT_EQ(std::sscanf(message.c_str(), "%d %d", &process, &number), 2) << line;
    EXPECT_EQ(number, next[process]++);
    const std::string expected = fmt::format("{} {} {}", process, number,
                                             std::string(static_cast<std::size_t>(number), 'x'));
    EXPECT_EQ(message, expected);
  }
  EXPECT_EQ(lines().size(), static_cast<std::size_t>(processes * each));
}

TEST_F(LogTest, AFullDiskIsCountedAndTheProgramGoesOn) {
  open({.level = Level::info, .format = Format::text, .file = "/dev/full"});
  EXPECT_EQ(dropped(), 0U);
  info("one");
  info("two");
  EXPECT_EQ(dropped(), 2U);
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsAnErrorAndTheOldOneStays) {
  open_file();
  try {
    open({.level = Level::info, .format = Format::text, .file = "/nowhere/log"});
    ADD_FAILURE() << "opened";
  } catch (const std::system_error& failure) {
    EXPECT_EQ(failure.code(), std::errc::no_such_file_or_directory);
    EXPECT_NE(std::string(failure.what()).find("/nowhere/log"), std::string::npos);
  }
  info("still here");
  EXPECT_EQ(lines().size(), 1U);
}

TEST_F(LogTest, JsonIsValidWhateverTheMessage) {
  open_file(Format::json);
  const std::string nasty =
      std::string("quote \" backslash \\ newline \n nul ") + '\0' + " tab \t ä € 😀";
  write(Level::error, nasty);
  ASSERT_EQ(lines().size(), 1U);
  const auto object = nlohmann::json::parse(lines()[0]);
  EXPECT_EQ(object["message"], nasty);
  EXPECT_EQ(object["level"], "error");
  EXPECT_EQ(object["pid"], getpid());
  EXPECT_TRUE(
      std::regex_match(object["time"].get<std::string>(),
                       std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d)")));
}

TEST_F(LogTest, JsonIsValidForBytesThatAreNoText) {
  open_file(Format::json);
  write(Level::info, "a\xff z \xe2\x82 end \xed\xa0\x80 \xf4\x90\x80\x80 \xc3");
  ASSERT_EQ(lines().size(), 1U);
  EXPECT_NO_THROW(nlohmann::json::parse(lines()[0])) << lines()[0];
}

TEST_F(LogTest, AMessageCannotForgeALine) {
  open_file();
  write(Level::info, "first\n2026-01-01 00:00:00.000 [1] error: forged\x1b[31m\r");
  ASSERT_EQ(lines().size(), 1U);
  EXPECT_NE(lines()[0].find(R"(first\n2026-01-01 00:00:00.000 [1] error: forged\x1b[31m\r)"),
            std::string::npos)
      << lines()[0];
}

TEST_F(LogTest, WithoutAFileItGoesToStandardError) {
  tests::Pipe errors;
  const pid_t child = tests::start_child([&] {
    dup2(errors.write.get(), STDERR_FILENO);
    open({});
    info("to whom it may concern");
    return dropped() == 0 ? 0 : 1;
  });
  errors.write.reset();
  EXPECT_EQ(tests::exitcode_of(child), 0);
  char text[200] = "";
  EXPECT_GT(read(errors.read.get(), text, sizeof text - 1), 0);
  EXPECT_NE(std::string(text).find("info: to whom it may concern\n"), std::string::npos);
}

/// A reader that has stopped reading must not stop the program.
TEST_F(LogTest, ToAPipeThatNobodyEmptiesLinesAreDroppedAndCounted) {
  tests::Pipe errors;
  const pid_t child = tests::start_child([&] {
    dup2(errors.write.get(), STDERR_FILENO);
    open({});
    for (int i = 0; i < 100'000 && dropped() < 10; ++i) info("to nobody");
    // The file that we were given is as it was.
    return dropped() == 10 && (fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0 ? 0 : 1;
  });
  EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST_F(LogTest, ItsFileIsNotForProgramsThatAChildExecutes) {
  open_file();
  EXPECT_NE(fcntl(descriptor(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(LogNames, AreReadAsTheyAreWritten) {
  EXPECT_EQ(parse_level("debug"), Level::debug);
  EXPECT_EQ(parse_level("info"), Level::info);
  EXPECT_EQ(parse_level("warning"), Level::warning);
  EXPECT_EQ(parse_level("error"), Level::error);
  EXPECT_FALSE(parse_level("INFO"));
  EXPECT_FALSE(parse_level(""));
  EXPECT_EQ(parse_format("text"), Format::text);
  EXPECT_EQ(parse_format("json"), Format::json);
  EXPECT_FALSE(parse_format("xml"));
}

}  // namespace
}  // namespace forkecho::log
