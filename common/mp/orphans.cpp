#include "common/mp/orphans.h"

#include <sys/prctl.h>

#include "common/sys/check_syscall.h"

namespace forkecho::mp {

void adopt_orphans(bool adopt) {
  sys::check_syscall(prctl(PR_SET_CHILD_SUBREAPER, adopt ? 1 : 0), "prctl(PR_SET_CHILD_SUBREAPER)");
}

std::vector<Exit> reap_orphans() {
  std::vector<Exit> orphans;
  for (;;) {
    const Reaped reaped = reap_any();
    if (!reaped.exit) return orphans;
    if (!reaped.delivered) orphans.push_back(*reaped.exit);
  }
}

}  // namespace forkecho::mp
