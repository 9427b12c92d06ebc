// NullServer: a server that does next to nothing: it sends back what it reads. What a client
// reaches against it is what that client can do at most, on this machine. Used by measure_ceiling.
//
// Listens on a port of 127.0.0.1 that the kernel chooses, in processes of its own, which are gone
// when the object is. Throws std::system_error when the system refuses a socket or a process.
#pragma once

#include <string>
#include <vector>

#include "common/mp/process.h"
#include "common/sys/descriptor.h"

namespace forkecho::client {

class NullServer {
 public:
  explicit NullServer(unsigned processes);
  NullServer(const NullServer&) = delete;
  NullServer& operator=(const NullServer&) = delete;
  ~NullServer();

  const std::string& target() const { return target_; }

 private:
  sys::Descriptor listener_;
  std::string target_;
  std::vector<mp::Process> processes_;
};

}  // namespace forkecho::client
