// Duties: what only one process at a time can do for the daemon, and what an upgrade therefore
// passes from one to the next: to be named in the pid file, to answer on the control socket, and to
// speak with the service manager.
//
//   started by itself            take_up()
//   took over from another       nothing, until that one says so; then take_up()
//   being replaced               hand_to(the new process), then leave(), or take_back()
//
// The supervisor alone uses it. Not for threads.
#pragma once

#include <string>
#include <vector>

#include "server/control_socket.h"
#include "server/handover.h"
#include "server/pid_file.h"
#include "server/service_manager.h"

namespace forkecho::server {

struct Options;

class Duties {
 public:
  /// Locks the pid file and listens on the control socket, or shares those of `inherited`, which
  /// then stay the other daemon's until take_up. Throws FatalError and std::system_error, fit for
  /// the user.
  Duties(asio::io_context& context, const Options& options, Inheritance& inherited,
         ControlSocket::Handler handler);

  /// False before this process has taken over from another, and after another has from this one.
  bool are_ours() const { return ours_; }
  /// Takes over from another daemon.
  void take_up(const std::string& summary);
  /// `successor` is the daemon from now on, unless take_back follows; it may answer already.
  void hand_to(pid_t successor);
  void take_back();
  /// For good. What is among `taken` stays as it is; what is not, is removed in the end.
  void leave(const std::vector<int>& taken);

  /// Of the pid file and the control socket.
  std::vector<int> descriptors() const { return {pid_file_.fd(), control_.fd()}; }
  int pid_file() const { return pid_file_.fd(); }
  int control() const { return control_.fd(); }
  ServiceManager& manager() { return manager_; }
  const ServiceManager& manager() const { return manager_; }

 private:
  void name_in_pid_file(pid_t pid);

  bool ours_;
  PidFile pid_file_;
  ControlSocket control_;
  ServiceManager manager_;
};

}  // namespace forkecho::server
