#include "client/process_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"

namespace forkecho::client {
namespace {

/// Empty when the process is gone or may not be read. Files of /proc tell no size in advance.
std::optional<std::string> read_proc_file(pid_t pid, const char* name) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  const sys::Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  std::string text;
  std::array<char, 4096> part;
  for (;;) {
    const ssize_t got =
        sys::retry_on_interrupt([&] { return read(file.get(), part.data(), part.size()); });
    if (got < 0) return std::nullopt;
    if (got == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
}

std::optional<pid_t> parse_pid(std::string_view name) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc{} || end != name.data() + name.size() || pid <= 0) return std::nullopt;
  return pid;
}

std::vector<ProcessStat> read_all_stats() {
  std::vector<ProcessStat> all;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc"), closedir);
  if (!directory) sys::throw_errno(errno, "read /proc");
  while (const dirent* entry = readdir(directory.get())) {
    const auto pid = parse_pid(entry->d_name);
    if (!pid) continue;
    const auto text = read_proc_file(*pid, "stat");
    if (!text) continue;
    if (const auto stat = parse_process_stat(*text)) all.push_back(*stat);
  }
  return all;
}

std::uint64_t context_switches_of(pid_t pid) {
  const auto text = read_proc_file(pid, "status");
  if (!text) return 0;
  return parse_proc_field(*text, "voluntary_ctxt_switches:").value_or(0) +
         parse_proc_field(*text, "nonvoluntary_ctxt_switches:").value_or(0);
}

std::optional<std::uint64_t> pss_of(pid_t pid) {
  const auto text = read_proc_file(pid, "smaps_rollup");
  if (!text) return std::nullopt;
  const auto kibibytes = parse_proc_field(*text, "Pss:");
  if (!kibibytes) return std::nullopt;
  return *kibibytes * 1024;
}

/// Lists the children of one process in one read, where a walk over all of /proc would find those
/// that live for milliseconds gone before their turn. Empty when `pid` is gone, or the kernel has
/// no such file (CONFIG_PROC_CHILDREN). Of its first thread: forkechod has no other.
std::optional<std::vector<pid_t>> children_of(pid_t pid) {
  const auto text = read_proc_file(pid, ("task/" + std::to_string(pid) + "/children").c_str());
  if (!text) return std::nullopt;
  std::vector<pid_t> children;
  std::istringstream words(*text);
  for (pid_t child = 0; words >> child;) children.push_back(child);
  return children;
}

/// `root` first, then those below it; empty when it is gone.
std::vector<pid_t> pids_of_tree(pid_t root) {
  std::vector<pid_t> pids;
  if (children_of(root)) {
    pids.push_back(root);
    for (std::size_t next = 0; next < pids.size(); ++next) {
      const auto children = children_of(pids[next]).value_or(std::vector<pid_t>{});
      pids.insert(pids.end(), children.begin(), children.end());
    }
  } else {
    for (const ProcessStat& process : tree_of(root, read_all_stats())) pids.push_back(process.pid);
  }
  return pids;
}

struct Look {
  std::size_t processes = 0;
  std::size_t wanted = 0;  // to be read
  std::optional<std::uint64_t> root_bytes;
  std::vector<std::uint64_t> below_bytes;
};

Look look_at_memory(pid_t root) {
  const auto pids = pids_of_tree(root);
  const auto chosen = spread_evenly(pids.size(), most_memory_reads);
  Look look{.processes = pids.size(), .wanted = chosen.size(), .root_bytes = {}, .below_bytes = {}};
  // The newest first: they live longest from now on.
  for (auto index = chosen.rbegin(); index != chosen.rend(); ++index) {
    const auto pss = pss_of(pids[*index]);
    if (*index == 0) {
      look.root_bytes = pss;
    } else if (pss) {
      look.below_bytes.push_back(*pss);
    }
  }
  return look;
}

std::string_view next_word(std::string_view& text) {
  const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
  const std::size_t end = std::min(text.find(' ', begin), text.size());
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  const std::size_t name_begin = text.find(" (");
  const std::size_t name_end = text.rfind(')');
  if (name_begin == text.npos || name_end == text.npos) return std::nullopt;
  const auto pid = parse_pid(text.substr(0, name_begin));
  text.remove_prefix(name_end + 1);
  // proc(5): the name is field 2; the parent is 4, utime to cstime are 14 to 17.
  std::array<std::uint64_t, 18> fields{};
  for (std::size_t field = 3; field < fields.size(); ++field) {
    const std::string_view word = next_word(text);
    if (word.empty()) return std::nullopt;
    std::from_chars(word.data(), word.data() + word.size(), fields[field]);
  }
  if (!pid) return std::nullopt;
  return ProcessStat{.pid = *pid,
                     .parent = static_cast<pid_t>(fields[4]),
                     .user_ticks = fields[14] + fields[16],
                     .system_ticks = fields[15] + fields[17]};
}

std::optional<std::uint64_t> parse_proc_field(std::string_view text, std::string_view key) {
  for (std::size_t line = 0; line < text.size();) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    std::string_view rest = text.substr(line, end - line);
    if (rest.starts_with(key)) {
      rest.remove_prefix(key.size());
      rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
      std::uint64_t value = 0;
      const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), value);
      return parsed.ec == std::errc{} ? std::optional(value) : std::nullopt;
    }
    line = end + 1;
  }
  return std::nullopt;
}

std::vector<ProcessStat> tree_of(pid_t root, const std::vector<ProcessStat>& all) {
  std::unordered_multimap<pid_t, const ProcessStat*> children;
  std::vector<ProcessStat> tree;
  for (const ProcessStat& process : all) {
    children.emplace(process.parent, &process);
    if (process.pid == root) tree.push_back(process);
  }
  for (std::size_t next = 0; next < tree.size(); ++next) {
    const auto [begin, end] = children.equal_range(tree[next].pid);
    for (auto child = begin; child != end; ++child) tree.push_back(*child->second);
  }
  return tree;
}

std::optional<TreeUsage> read_tree_usage(pid_t root) {
  const auto tree = tree_of(root, read_all_stats());
  if (tree.empty()) return std::nullopt;
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  TreeUsage usage;
  for (const ProcessStat& process : tree) {
    usage.cpu_user_s += static_cast<double>(process.user_ticks) / ticks_per_second;
    usage.cpu_system_s += static_cast<double>(process.system_ticks) / ticks_per_second;
    usage.context_switches += context_switches_of(process.pid);
    usage.pids.push_back(process.pid);
  }
  std::ranges::sort(usage.pids);
  return usage;
}

std::optional<TreeUsage> read_settled_tree_usage(pid_t root, sys::Deadline deadline) {
  constexpr auto between_looks = std::chrono::milliseconds(5);
  auto usage = read_tree_usage(root);
  while (usage && !deadline.passed()) {
    std::this_thread::sleep_for(between_looks);
    auto again = read_tree_usage(root);
    const bool settled = again && again->pids == usage->pids;
    usage = std::move(again);
    if (settled) break;
  }
  return usage;
}

std::vector<std::size_t> spread_evenly(std::size_t count, std::size_t most) {
  const std::size_t chosen = std::min(count, most);
  std::vector<std::size_t> indices(chosen);
  for (std::size_t i = 0; i < chosen; ++i) indices[i] = i * count / chosen;
  return indices;
}

std::optional<std::uint64_t> estimate_pss(std::size_t processes,
                                          std::optional<std::uint64_t> root_bytes,
                                          const std::vector<std::uint64_t>& below_bytes) {
  if (!root_bytes || processes == 0) return std::nullopt;
  if (processes == 1) return root_bytes;
  if (below_bytes.empty()) return std::nullopt;
  const auto sum = std::accumulate(below_bytes.begin(), below_bytes.end(), std::uint64_t{0});
  return *root_bytes + sum * (processes - 1) / below_bytes.size();
}

TreeMemory read_tree_memory(pid_t root) {
  constexpr int most_looks = 5;
  Look best;
  for (int looks = 0; looks < most_looks; ++looks) {
    Look look = look_at_memory(root);
    const bool good = 2 * look.below_bytes.size() + 1 >= look.wanted;
    if (looks == 0 || look.below_bytes.size() > best.below_bytes.size()) best = std::move(look);
    if (good) break;
  }
  return {.processes = static_cast<std::uint32_t>(best.processes),
          .pss_bytes = estimate_pss(best.processes, best.root_bytes, best.below_bytes)};
}

}  // namespace forkecho::client
