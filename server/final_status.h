// --final-status: the file in which a daemon leaves what it has to show for itself, once its last
// connection has ended: the same JSON object as `forkechod status --json`. Who starts and stops
// daemons (a load test in containers) can then hold their books against the clients'.
//
// Used by the supervisor alone, who keeps the privilege that it had, and sees the whole file system
// whatever --chroot says.
#pragma once

#include <string>
#include <string_view>

namespace forkecho::server {

class FinalStatus {
 public:
  /// Empty: none is asked for. Takes away what an earlier daemon has left, so that a file that is
  /// there is this one's. Throws FatalError(system) when the file could not be written now.
  explicit FinalStatus(std::string path);

  bool is_asked_for() const { return !path_.empty(); }
  /// Whole or not at all: written beside it, to disk, and renamed. Throws FatalError(system).
  void write(std::string_view status) const;
  /// The same for a daemon that another one has taken the place of: to the file's name with the
  /// ending .PID, as the name itself is the other one's.
  void write_beside(std::string_view status) const;

 private:
  std::string path_;
};

/// What keeps such a file from being written; empty when nothing does. Leaves no file.
std::string find_unwritable(const std::string& path);

}  // namespace forkecho::server
