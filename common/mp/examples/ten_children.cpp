// fork returns once in the parent and once in the child, or the system refuses. Ten children print
// a line each, and an eleventh is refused.
#include <sys/resource.h>

#include <system_error>
#include <vector>

#include "common/mp/examples/say.h"
#include "common/mp/process.h"
#include "common/sys/check_syscall.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;
using forkecho::sys::check_syscall;

namespace {

/// As a user who may have no further process; root is above that limit.
void ask_for_too_much() {
  constexpr uid_t nobody = 65534;
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  check_syscall(setrlimit(RLIMIT_NPROC, &none), "setrlimit");
  if (geteuid() == 0) check_syscall(setresuid(nobody, nobody, nobody), "setresuid");
  mp::Process refused([] { say("nobody runs this"); });
  try {
    refused.start();
  } catch (const std::system_error& error) {
    say("refused: ", error.code().message());
  }
}

}  // namespace

int main() {
  std::vector<mp::Process> children;
  for (int i = 0; i < 10; ++i) {
    children.emplace_back([i] { say("in child process ", i); }).start();
    say("in parent process");
  }
  for (mp::Process& child : children) child.join();

  mp::Process poor(ask_for_too_much);
  poor.start();
  poor.join();
  say("The document: takes a negative pid for the refusal. That is fork in C; Python's os.fork "
      "raises OSError.");
}
