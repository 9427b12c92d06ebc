// PidFile: the daemon's pid in a file, locked as long as it lives, so that a second daemon is
// refused and the file of a killed one is simply taken over.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/sys/descriptor.h"

namespace forkecho::server {

class PidFile {
 public:
  /// Creates or takes over `path`. Throws FatalError: unavailable when a live daemon holds it,
  /// system when the file cannot be written.
  explicit PidFile(std::string path);
  /// The same, but if `locked` is that file, held by a daemon that this one replaces, it is shared
  /// with it, and stays as it is until write is called.
  PidFile(std::string path, sys::Descriptor locked);
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  /// Removes the file if this process has written it, and leave was not called.
  ~PidFile();

  int fd() const { return file_.get(); }
  /// Makes `pid` the one that it names. Throws FatalError(system).
  void write(pid_t pid);
  /// The file, and its lock, stay with the process that shares them.
  void leave();

 private:
  void acquire();
  void open_and_lock();

  std::string path_;
  sys::Descriptor file_;
  bool ours_ = false;
};

/// Creates the last directory of `path`'s parents where it is missing: readable by all for root,
/// private otherwise. Throws FatalError(system).
void make_parent_directory(const std::string& path);

}  // namespace forkecho::server
