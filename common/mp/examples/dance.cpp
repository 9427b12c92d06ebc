// Two children take names from one list until it is empty. Each has a copy of its own: both find
// all three, and the list of main stays whole.
//
//   dance [PAUSE_MS]        the document pauses for 200
#include <thread>
#include <vector>

#include "common/mp/examples/say.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

void perform(const char* act, std::vector<const char*> students, std::chrono::milliseconds pause) {
  say(act, ": pid ", getpid(), ", parent ", getppid());
  while (!students.empty()) {
    const char* const student = students.back();
    students.pop_back();
    say(student, " ", act, ", ", mp::current_process().pid(), "-", mp::current_process().name());
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto pause = forkecho::examples::pause_argument(argc, argv, 1, 20);
  const std::vector students{"Gang", "Gui", "Heng"};
  say("main: pid ", getpid());

  mp::Process dancer(perform, "dances", students, pause);
  dancer.set_name("myprocess1");
  mp::Process singer(perform, "sings", students, pause);
  singer.set_name("myprocess2");
  dancer.start();
  singer.start();
  say("main: the dancer is ", *dancer.pid(), ", the singer is ", *singer.pid());
  dancer.join();
  singer.join();

  say("main: ", students.size(), " students are on the list still");
  say("The document: sees three processes pop the same names; its first program starts one.");
}
