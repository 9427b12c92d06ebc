// Two cooks make three dishes each, two guests eat for ever. Main waits until the cooks are done
// and every dish was eaten; the guests are daemons, and end with it.
//
//   producers_and_consumers [PAUSE_MS]      the document pauses for 1000 to 3000
#include <string>
#include <thread>

#include "common/mp/examples/say.h"
#include "common/mp/joinable_queue.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;
using Dishes = mp::JoinableQueue<std::string>;

namespace {

void cook(const char* name, const char* dish, Dishes& dishes, std::chrono::milliseconds pause) {
  for (int i = 1; i <= 3; ++i) {
    std::this_thread::sleep_for(pause);
    const std::string made = dish + std::to_string(i);
    say(name, " makes ", made);
    dishes.put(made);
  }
}

void eat(const char* name, Dishes& dishes, std::chrono::milliseconds pause) {
  for (;;) {
    const std::string dish = dishes.get().value();
    std::this_thread::sleep_for(pause);
    say(name, " eats ", dish);
    dishes.task_done();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto pause = forkecho::examples::pause_argument(argc, argv, 1, 10);
  Dishes dishes;
  mp::Process rice([&] { cook("Star Chef", "rice", dishes, pause); });
  mp::Process soup([&] { cook("God of Cooking", "soup", dishes, pause); });
  mp::Process pigsy([&] { eat("Pigsy", dishes, pause); });
  mp::Process monkey([&] { eat("Monkey", dishes, pause); });
  pigsy.set_daemon(true);
  monkey.set_daemon(true);
  for (mp::Process* process : {&rice, &soup, &pigsy, &monkey}) process->start();

  rice.join();
  soup.join();
  dishes.join();
  say("main: every dish was eaten");
}
