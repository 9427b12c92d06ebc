// terminate asks; the child is gone when join says so.
#include <unistd.h>

#include "common/mp/examples/say.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

int main() {
  mp::Process child([] {
    for (;;) pause();
  });
  child.start();
  say("before terminate: is_alive ", child.is_alive());
  child.terminate();
  child.join();
  say("after join: is_alive ", child.is_alive(), ", exitcode ", *child.exitcode());
  say("The document: waits a millisecond instead of joining, and then is_alive may be true "
      "still.");
}
