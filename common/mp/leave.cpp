#include "common/mp/leave.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <vector>

#include "common/mp/child_registry.h"
#include "common/mp/output.h"
#include "common/mp/reap.h"
#include "common/mp/step.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::mp {
namespace {

using Records = std::vector<std::shared_ptr<ChildRecord>>;

/// Those that were started and not detached, daemons or the others.
Records children_to_finish(bool daemons) {
  const RegistryGuard guard;
  Records chosen = ChildRegistry::unreaped();
  std::erase_if(chosen,
                [=](const auto& r) { return r->detached || r->identity.daemon != daemons; });
  return chosen;
}

/// Looked at before a signal: a pid that the kernel reaped (SIGCHLD ignored) may be another's.
bool has_ended(pid_t pid) {
  const Reaped now = reap_one(pid);
  return now.exit || now.none_left;
}

bool reaped_before(pid_t pid, sys::Deadline deadline) {
  try {
    return reap_before(pid, deadline) || has_ended(pid);
  } catch (const std::system_error&) {
    return false;  // no descriptor is left to wait with: then without grace
  }
}

/// To all of them; those that may not be signalled are waited for in vain, and left alone.
void signal_all(Records& daemons, int number) {
  std::erase_if(daemons, [=](const auto& d) { return signal_child(*d, number) == EPERM; });
}

void end_daemons() {
  Records daemons = children_to_finish(true);
  std::erase_if(daemons, [](const auto& d) { return has_ended(d->pid); });
  signal_all(daemons, SIGTERM);
  FORKECHO_MP_STEP("process.finish.told");
  const auto deadline = sys::Deadline::after(daemon_grace);
  std::erase_if(daemons, [&](const auto& d) { return reaped_before(d->pid, deadline); });
  signal_all(daemons, SIGKILL);
  for (const auto& daemon : daemons) reap_before(daemon->pid, sys::Deadline::never());
}

}  // namespace

void finish_children() {
  end_daemons();
  for (const auto& child : children_to_finish(false))
    reap_before(child->pid, sys::Deadline::never());
}

void finish_children_at_exit() {
  static const bool registered = std::atexit([] {
                                   if (!ChildRegistry::any()) return;
                                   flush_output();  // not only after the wait
                                   finish_children();
                                 }) == 0;
  static_cast<void>(registered);
}

[[gnu::hot]] void leave(int code) {
  if (code < 0 || code > 255) code = 255;
  // Unlike a successful run, output that cannot be written is a failure that someone should see.
  if (!flush_output() && code == 0) code = 1;
  FORKECHO_MP_STEP("process.leave.flushed");
  if (ChildRegistry::any()) finish_children();
  for (;;) sys::raw_syscall(SYS_exit_group, code);
}

}  // namespace forkecho::mp
