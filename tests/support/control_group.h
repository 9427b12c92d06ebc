// A control group of the kernel for one test: processes that join it are bound by its limits. Both
// hierarchies are known, version 1 (a tree for each controller) and version 2 (one for all); where
// neither can be had (no root, no cgroup file system, a controller that is not there) why_not says
// so, and the test is skipped.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"

namespace forkecho::tests {

class ControlGroup {
 public:
  /// `controller`: "pids" or "memory".
  explicit ControlGroup(const std::string& controller) {
    const std::string root = "/sys/fs/cgroup";
    const bool version_1 = access((root + "/" + controller).c_str(), F_OK) == 0;
    is_version_2_ = !version_1;
    const std::string tree = version_1 ? root + "/" + controller : root;
    if (!version_1) write_to(tree + "/cgroup.subtree_control", "+" + controller);
    path_ = tree + "/forkecho-test-" + std::to_string(getpid());
    if (mkdir(path_.c_str(), 0755) != 0) {
      why_not_ = "no control group of " + controller + " here: " + std::strerror(errno);
      path_.clear();
    } else if (is_version_2_ && access((path_ + "/" + controller + ".max").c_str(), F_OK) != 0) {
      why_not_ = "the controller " + controller + " is not to be had here";
    }
  }
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;
  ~ControlGroup() {
    if (path_.empty()) return;
    // Busy until the last member is reaped.
    eventually(sys::Deadline::after(std::chrono::seconds(2)),
               [this] { return rmdir(path_.c_str()) == 0; });
  }

  /// Empty when the group is there.
  const std::string& why_not() const { return why_not_; }
  void add(pid_t pid) const { must_write("cgroup.procs", std::to_string(pid)); }
  void limit_processes(unsigned count) const { must_write("pids.max", std::to_string(count)); }
  void limit_memory(std::uint64_t bytes) const {
    must_write(is_version_2_ ? "memory.max" : "memory.limit_in_bytes", std::to_string(bytes));
  }

 private:
  static bool write_to(const std::string& path, std::string_view text) {
    const sys::Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file && write(file.get(), text.data(), text.size()) == ssize_t(text.size());
  }
  void must_write(const char* name, std::string_view text) const {
    if (!write_to(path_ + "/" + name, text)) sys::throw_errno(errno, path_ + "/" + name);
  }

  bool is_version_2_ = false;
  std::string path_;
  std::string why_not_;
};

}  // namespace forkecho::tests
