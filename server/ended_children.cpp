#include "server/ended_children.h"

namespace forkecho::server {

std::optional<mp::Exit> exit_told_by(const siginfo_t& info) {
  if (info.si_signo != ended_signal()) return std::nullopt;
  switch (info.si_code) {
    case CLD_EXITED:
      return mp::Exit{info.si_pid, info.si_status};
    case CLD_KILLED:
    case CLD_DUMPED:
      return mp::Exit{info.si_pid, -info.si_status};
    default:
      return std::nullopt;
  }
}

void LooksAtAll::looked(bool found, sys::Duration took) {
  if (found) return at_once();
  hastened_ = false;
  due_ = sys::Deadline::after(now_and_then);
  rest_ = sys::Deadline::after(rest_for_each * took);
}

}  // namespace forkecho::server
