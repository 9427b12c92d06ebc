// NullServer: a server that does next to nothing: it sends back what it reads. What a client
// reaches against it is what that client can do at most, on this machine. Used by measure_ceiling.
//
// Each of its processes listens on a port of its own of 127.0.0.1, which the kernel chooses: at one
// port for all of them, the first to run would take most connections that are held, and the others
// would idle. The processes are gone when the object is. Throws std::system_error when the system
// refuses a socket or a process.
#pragma once

#include <string>
#include <vector>

#include "common/mp/process.h"

namespace forkecho::client {

class NullServer {
 public:
  explicit NullServer(unsigned processes);
  NullServer(const NullServer&) = delete;
  NullServer& operator=(const NullServer&) = delete;
  ~NullServer();

  /// One for each process.
  const std::vector<std::string>& targets() const { return targets_; }

 private:
  std::vector<std::string> targets_;
  std::vector<mp::Process> processes_;
};

}  // namespace forkecho::client
