#include "server/stopped_processes.h"

#include <algorithm>
#include <csignal>

#include "common/log/log.h"
#include "common/mp/reap.h"

namespace forkecho::server {
namespace {

void set_going(pid_t pid) {
  log::warning("process {} was stopped, and nobody has set it going again: it is continued", pid);
  kill(-pid, SIGCONT);  // its group, if it leads one: an acceptor's children
  kill(pid, SIGCONT);
}

}  // namespace

void StoppedProcesses::look(sys::Clock::time_point now) {
  while (const auto pid = mp::take_stopped()) {
    std::erase_if(stopped_, [pid](const Stopped& stopped) { return stopped.pid == *pid; });
    stopped_.push_back({.pid = *pid, .since = now});
  }
  std::erase_if(stopped_, [now](const Stopped& stopped) {
    if (!mp::is_unreaped_child(stopped.pid)) return true;
    if (now - stopped.since < patience) return false;
    set_going(stopped.pid);
    return true;
  });
}

}  // namespace forkecho::server
