// An example as a test sees it: run to its end, with its output cut into lines.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "common/mp/reap.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/program.h"

namespace forkecho::tests {

using Lines = std::vector<std::string>;

inline Lines lines_in(const std::string& text) {
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// What an example left.
struct Shown {
  pid_t pid;
  std::optional<int> exitcode;  // empty: it did not end in time
  Lines lines;
  std::string err;

  /// The lines that `pattern` matches as a whole, in their order.
  Lines matching(const std::string& pattern) const {
    const std::regex regex(pattern);
    Lines found;
    std::copy_if(lines.begin(), lines.end(), std::back_inserter(found),
                 [&](const std::string& line) { return std::regex_match(line, regex); });
    return found;
  }
  std::ptrdiff_t count(const std::string& line) const {
    return std::count(lines.begin(), lines.end(), line);
  }
  /// Where `line` stands first; beyond all lines when it does not.
  std::ptrdiff_t position(const std::string& line) const {
    return std::find(lines.begin(), lines.end(), line) - lines.begin();
  }
  /// Its last line says something of the document.
  bool ends_with_the_document() const {
    return !lines.empty() && lines.back().starts_with("The document: ");
  }
};

/// True once the test program has no children but `others`, orphans that it adopted included; reaps
/// those that have ended.
inline bool only_left(const std::vector<pid_t>& others) {
  return eventually(patience(), [&] {
    while (mp::reap_any().exit) {
    }
    return children_of(getpid()) == others;
  });
}

/// Runs example `name` to its end, and expects that no process of its stays behind. An orphan's
/// parent is meanwhile the test program.
inline Shown run_example(const std::string& name, Arguments arguments = {},
                         ProgramOptions options = {}) {
  const AdoptOrphans adopted;
  const std::vector<pid_t> others = children_of(getpid());
  Program program(EXAMPLES_PATH "/" + name, std::move(arguments), std::move(options));
  const pid_t pid = program.pid();
  const std::optional<int> exitcode = program.wait();
  if (exitcode) {
    EXPECT_TRUE(only_left(others)) << name << " left a process";
  }
  return {.pid = pid, .exitcode = exitcode, .lines = lines_in(program.out()), .err = program.err()};
}

}  // namespace forkecho::tests
