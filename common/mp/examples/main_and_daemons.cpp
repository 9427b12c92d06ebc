// Main says that it is over. It exits only when its child has ended; a daemon is ended with it.
//
//   main_and_daemons [child | daemon] [WORK_MS]    the document's children work for 2000 and 3000
#include <string_view>
#include <thread>

#include "common/mp/event.h"
#include "common/mp/examples/say.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

int main(int argc, char** argv) {
  const bool daemon = argc > 1 && std::string_view(argv[1]) == "daemon";
  const auto work = forkecho::examples::pause_argument(argc, argv, 2, 200);
  mp::Event begun;
  mp::Event over;
  mp::Process task([&] {
    say("the task lives still");
    begun.set();
    over.wait();
    std::this_thread::sleep_for(work);
    say("the task is done");
  });
  task.set_daemon(daemon);
  task.start();

  begun.wait();
  say("main is over");
  say("The document: has a daemon end with the last line that main prints. It ends when main "
      "does, and may print until then.");
  over.set();
}
