#include "tests/support/leak_check.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "common/mp/thread_id.h"

namespace forkecho::tests {
namespace {

namespace fs = std::filesystem;

void add_descriptors(std::set<std::string>& holdings) {
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) entries.push_back(entry.path());
  for (const fs::path& entry : entries) {
    std::error_code gone;  // the iteration's own descriptor
    const fs::path target = fs::read_symlink(entry, gone);
    if (!gone)
      holdings.insert("descriptor " + entry.filename().string() + " (" + target.string() + ")");
  }
}

void add_children(std::set<std::string>& holdings) {
  std::ifstream list("/proc/thread-self/children");
  for (std::string pid; list >> pid;) holdings.insert("child " + pid);
}

/// Memory that is shared with children; what is private is the heap's affair.
void add_shared_mappings(std::set<std::string>& holdings) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto range_end = line.find(' ');
    const bool shared = range_end != std::string::npos && line[range_end + 4] == 's';
    if (shared) holdings.insert("shared mapping " + line.substr(0, range_end));
  }
}

void add_named_shared_memory(std::set<std::string>& holdings) {
  const std::string own_leak = "forkecho-leak-" + std::to_string(getpid());
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator("/dev/shm", missing)) {
    const std::string name = entry.path().filename();
    if (name.find("forkecho") == std::string::npos) continue;
    // What this check's own test leaves for a moment is no affair of tests that run beside it.
    if (name.starts_with("forkecho-leak-") && name != own_leak) continue;
    holdings.insert(entry.path());
  }
}

std::string lines_missing_in(const std::set<std::string>& there, const std::set<std::string>& here,
                             const char* verdict) {
  std::string lines;
  for (const std::string& thing : here) {
    if (!there.contains(thing)) lines += verdict + thing + '\n';
  }
  return lines;
}

}  // namespace

std::set<std::string> current_holdings() {
  std::set<std::string> holdings;
  add_descriptors(holdings);
  add_children(holdings);
  add_shared_mappings(holdings);
  add_named_shared_memory(holdings);
  return holdings;
}

std::string differences(const std::set<std::string>& before, const std::set<std::string>& after) {
  return lines_missing_in(before, after, "left: ") + lines_missing_in(after, before, "taken: ");
}

LeakCheck::LeakCheck() {
  mp::prepare_thread_ids();  // once in a process, and for its whole life
}

void LeakCheck::OnTestStart(const testing::TestInfo&) {
  before_ = current_holdings();
}

void LeakCheck::OnTestEnd(const testing::TestInfo&) {
  const std::string leaks = differences(before_, current_holdings());
  EXPECT_TRUE(leaks.empty()) << "the test changed what its process holds:\n" << leaks;
}

}  // namespace forkecho::tests
