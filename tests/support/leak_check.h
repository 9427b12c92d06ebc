// LeakCheck: fails every test that leaves something behind: a descriptor opened or closed, a child
// running or unreaped, a shared mapping, a named object in /dev/shm. All test programs have it
// (main.cpp).
//
// Of /dev/shm only names with "forkecho" in them count: other programs work there at the same time.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace forkecho::tests {

/// What the calling process holds now that outlives a function, each thing described in a few
/// words: "descriptor 5 (socket:[4711])", "child 815", "/dev/shm/forkecho-x".
std::set<std::string> current_holdings();

/// One line for each thing that is in one and not in the other; empty when they are equal.
std::string differences(const std::set<std::string>& before, const std::set<std::string>& after);

class LeakCheck final : public testing::EmptyTestEventListener {
 public:
  LeakCheck();

 private:
  void OnTestStart(const testing::TestInfo& test) override;
  void OnTestEnd(const testing::TestInfo& test) override;
  std::set<std::string> before_;
};

}  // namespace forkecho::tests
