#include "tests/support/proc_view.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include "common/sys/descriptor.h"

namespace forkecho::tests {
namespace {

struct Stat {
  ProcessView view;
  pid_t session;
};

/// Empty when it cannot be read. No stream: libstdc++'s throws when the process ends between open
/// and read (ESRCH).
std::string read_whole(const std::string& path) {
  const sys::Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  std::string text(4096, '\0');
  const ssize_t size = read(file.get(), text.data(), text.size());
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

/// proc(5), /proc/pid/stat: the fields behind the name, which may itself hold spaces and brackets.
std::optional<Stat> read_stat(pid_t pid) {
  const std::string line = read_whole("/proc/" + std::to_string(pid) + "/stat");
  if (line.empty()) return std::nullopt;
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  Stat stat{};
  stat.view.pid = pid;
  pid_t group = 0;
  fields >> stat.view.state >> stat.view.parent >> group >> stat.session;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  std::string skipped;
  for (int field = 7; field < 14; ++field) fields >> skipped;
  fields >> user >> system;
  for (int field = 16; field < 22; ++field) fields >> skipped;
  fields >> stat.view.started;
  stat.view.cpu_ticks = user + system;
  return fields ? std::optional(stat) : std::nullopt;
}

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc"), closedir);
  while (const dirent* entry = readdir(directory.get())) {
    if (const pid_t pid = std::atoi(entry->d_name); pid > 0) pids.push_back(pid);
  }
  return pids;
}

}  // namespace

std::vector<ProcessView> processes_of_session(pid_t session) {
  std::vector<ProcessView> found;
  for (const pid_t pid : all_pids()) {
    if (getsid(pid) != session) continue;
    const auto stat = read_stat(pid);
    if (stat && stat->session == session) found.push_back(stat->view);
  }
  return found;
}

std::vector<ProcessView> living_below(pid_t leader) {
  std::vector<ProcessView> living = processes_of_session(leader);
  std::erase_if(living, [leader](const auto& view) { return view.dead() || view.pid == leader; });
  return living;
}

std::vector<ProcessView> living_children(pid_t leader, pid_t parent) {
  std::vector<ProcessView> living = living_below(leader);
  std::erase_if(living, [parent](const auto& view) { return view.parent != parent; });
  return living;
}

}  // namespace forkecho::tests
