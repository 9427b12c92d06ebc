// PidFile: the daemon's pid in a file, locked as long as it lives, so that a second daemon is
// refused and the file of a killed one is simply taken over.
#pragma once

#include <string>

#include "common/sys/descriptor.h"

namespace forkecho::server {

class PidFile {
 public:
  /// Creates or takes over `path`. Throws FatalError: unavailable when a live daemon holds it,
  /// system when the file cannot be written.
  explicit PidFile(std::string path);
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  ~PidFile();

 private:
  void open_and_lock();

  std::string path_;
  sys::Descriptor file_;
};

/// Creates the last directory of `path`'s parents where it is missing: readable by all for root,
/// private otherwise. Throws FatalError(system).
void make_parent_directory(const std::string& path);

}  // namespace forkecho::server
