// ScratchDirectory: a folder for the files of one example, gone with the object of the process that
// made it. Throws std::system_error when there is no room for it in $TMPDIR or /tmp.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/sys/check_syscall.h"

namespace forkecho::examples {

class ScratchDirectory {
 public:
  ScratchDirectory() : owner_(getpid()) {
    std::string pattern = std::filesystem::temp_directory_path() / "forkecho-example-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) sys::throw_errno(errno, "mkdtemp");
    path_ = pattern;
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    if (getpid() == owner_) std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  pid_t owner_;
};

}  // namespace forkecho::examples
