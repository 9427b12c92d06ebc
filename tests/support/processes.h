// What /proc says of processes.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace forkecho::tests {

struct ProcessStatus {
  char state = '-';  // as in proc(5): R running, S sleeping, T stopped, Z ended and not reaped
  pid_t parent = 0;
  pid_t group = 0;
};

/// State '-' when there is no such process.
inline ProcessStatus status_of(pid_t pid) {
  const std::string line = content_of("/proc/" + std::to_string(pid) + "/stat");
  ProcessStatus status;
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return status;
  std::istringstream(line.substr(name_end + 1)) >> status.state >> status.parent >> status.group;
  return status;
}

inline char state_of(pid_t pid) {
  return status_of(pid).state;
}

/// True once the process was found asleep twenty times in a row, over a tenth of a second: it
/// waits, and does not poll without a pause.
inline bool sleeps(pid_t pid) {
  int in_a_row = 0;
  return eventually(patience(), [&] {
    poll(nullptr, 0, 4);
    in_a_row = state_of(pid) == 'S' ? in_a_row + 1 : 0;
    return in_a_row == 20;
  });
}

/// Sends SIGSTOP to all of them; true once each has stopped, so that none takes part in anything.
inline bool stop_all(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) kill(pid, SIGSTOP);
  return eventually(patience(), [&] {
    return std::all_of(pids.begin(), pids.end(), [](pid_t pid) { return state_of(pid) == 'T'; });
  });
}

/// The title, as ps shows it.
inline std::string title_of(pid_t pid) {
  return content_of("/proc/" + std::to_string(pid) + "/cmdline").c_str();
}

inline std::vector<pid_t> children_of(pid_t pid) {
  std::istringstream list(
      content_of("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children"));
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

/// Of the process so far, of its own accord or not.
inline std::uint64_t context_switches_of(pid_t pid) {
  std::istringstream status(content_of("/proc/" + std::to_string(pid) + "/status"));
  std::uint64_t sum = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.find("voluntary_ctxt_switches:") != std::string::npos)
      sum += std::stoull(line.substr(line.find(':') + 1));
  }
  return sum;
}

/// Children, their children, and so on.
inline std::vector<pid_t> descendants_of(pid_t pid) {
  std::vector<pid_t> all = children_of(pid);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const pid_t child : children_of(all[i])) all.push_back(child);
  }
  return all;
}

/// Numbers of the open descriptors, and what each is ("socket:[4711]"); those read until then of a
/// process that ends meanwhile.
inline std::map<int, std::string> descriptors_of(pid_t pid) {
  std::map<int, std::string> descriptors;
  std::error_code gone;
  std::filesystem::directory_iterator entry("/proc/" + std::to_string(pid) + "/fd", gone);
  for (; entry != std::filesystem::directory_iterator(); entry.increment(gone)) {
    descriptors[std::stoi(entry->path().filename())] =
        std::filesystem::read_symlink(entry->path(), gone).string();
  }
  return descriptors;
}

}  // namespace forkecho::tests
