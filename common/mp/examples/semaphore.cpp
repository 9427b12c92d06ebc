// Five workers, and a Semaphore that lets two in at a time. Then one is killed inside: its permit
// comes back.
//
//   semaphore [UNIT_MS]     worker i stays for i * 2 units; the document's unit is 1000
#include <algorithm>
#include <thread>
#include <vector>

#include "common/mp/event.h"
#include "common/mp/examples/say.h"
#include "common/mp/process.h"
#include "common/mp/semaphore.h"
#include "common/mp/shared.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

struct Count {
  int inside;
  int most;
};

struct Room {
  mp::Semaphore seats{2};
  mp::Value<Count> count;
};

void visit(Room& room, std::chrono::milliseconds stay) {
  const std::string& name = mp::current_process().name();
  room.seats.acquire();
  room.count.update([](Count& count) { count.most = std::max(count.most, ++count.inside); });
  say(name, " acquires");
  std::this_thread::sleep_for(stay);
  say(name, " releases");
  room.count.update([](Count& count) { --count.inside; });
  room.seats.release();
}

void be_killed_inside(mp::Semaphore& seats) {
  mp::Event inside;
  mp::Process visitor([&] {
    seats.acquire();
    inside.set();
    for (;;) pause();
  });
  visitor.set_daemon(true);
  visitor.start();
  inside.wait();
  visitor.kill();
  visitor.join();
}

}  // namespace

int main(int argc, char** argv) {
  const auto unit = forkecho::examples::pause_argument(argc, argv, 1, 10);
  Room room;
  std::vector<mp::Process> workers;
  for (int i = 0; i < 5; ++i) workers.emplace_back([&, i] { visit(room, i * 2 * unit); }).start();
  for (mp::Process& worker : workers) worker.join();
  say("at most ", room.count.get().most, " at once were inside");

  be_killed_inside(room.seats);
  int entered = 0;
  while (room.seats.acquire(forkecho::sys::Deadline::immediately())) ++entered;
  say("after a visitor was killed inside, ", entered, " may enter as before");
  say("The document: warns that a killed holder leaves the others in a deadlock. Here it does "
      "not.");
}
