// Program: one of the project's binaries under test, run as a child of the test with its output in
// files. It is killed when the object goes, and when the test program dies before that.
//
//   const Outcome outcome = run_program(forkechod, {"stop", "--control", path});
//   EXPECT_EQ(outcome.exitcode, 69);
//
// Not safe between threads.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/mp/process.h"
#include "common/sys/deadline.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace forkecho::tests {

/// Paths of the binaries.
extern const std::string forkechod;
extern const std::string forkecho;

using Arguments = std::vector<std::string>;

/// What a program left; `exitcode` is empty when it did not end in time (and was killed), -S after
/// a death by signal S.
struct Outcome {
  std::optional<int> exitcode;
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::string input;                  // a file for standard input; empty: /dev/null
  std::function<void()> before_exec;  // in the child, its standard descriptors in place
  bool own_session = false;           // its pid is then the session of all its descendants
};

class Program {
 public:
  Program(const std::string& path, Arguments arguments, ProgramOptions options = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  pid_t pid() const { return *process_.pid(); }
  void signal(int number) { process_.signal(number); }
  bool is_alive() { return process_.is_alive(); }
  /// Empty while it runs when the deadline passes.
  std::optional<int> wait(sys::Deadline deadline = patience());
  /// What it has written until now.
  std::string out() const;
  std::string err() const;

 private:
  TempDir output_;
  mp::Process process_;
};

/// Runs it to its end.
Outcome run_program(const std::string& path, Arguments arguments, ProgramOptions options = {},
                    sys::Deadline deadline = patience());

void write_file(const std::string& path, std::string_view content);

/// True when `text` is one line that says something and ends with a newline.
bool is_one_line(std::string_view text);

}  // namespace forkecho::tests
