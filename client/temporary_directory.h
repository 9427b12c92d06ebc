// TemporaryDirectory: a folder of one's own, gone with its owner, however the owner ends. Used by
// compare for the sockets, pid files and logs of the servers that it starts.
//
// A small process, the keeper, waits for the owner's end and removes what a killed owner leaves.
// Of the process that made it: a forked child's copy removes nothing. Not safe between threads.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

#include "common/mp/connection.h"
#include "common/mp/process.h"

namespace forkecho::client {

class TemporaryDirectory {
 public:
  /// Mode 0700, under $TMPDIR, or /tmp when that is unset or too long for a unix socket's path.
  /// Throws std::system_error.
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  void start_keeper();

  std::filesystem::path path_;
  pid_t owner_;
  mp::Pipe life_{mp::Duplex::no};  // its sending end is closed by the kernel with its last owner
  std::optional<mp::Process> keeper_;
};

}  // namespace forkecho::client
