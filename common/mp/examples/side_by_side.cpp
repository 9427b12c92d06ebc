// Five workers, side by side: together they take as long as one. join waits for one child and holds
// up no other.
//
//   side_by_side [WORK_MS]       the document's workers take 4000
#include <thread>
#include <vector>

#include "common/mp/examples/say.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;
using Clock = std::chrono::steady_clock;

namespace {

long milliseconds_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
}

void work(int number, std::chrono::milliseconds duration) {
  say("worker ", number, " begins");
  std::this_thread::sleep_for(duration);
  say("worker ", number, " ends");
}

}  // namespace

int main(int argc, char** argv) {
  const auto duration = forkecho::examples::pause_argument(argc, argv, 1, 200);
  const auto start = Clock::now();
  std::vector<mp::Process> workers;
  for (int i = 0; i < 5; ++i) workers.emplace_back(work, i, duration).start();
  for (mp::Process& worker : workers) worker.join();
  say("five workers of ", duration.count(), " ms took ", milliseconds_since(start), " ms");

  const auto again = Clock::now();
  for (mp::Process& worker : workers) worker.join();
  say("joining them once more took ", milliseconds_since(again), " ms");
  say("The document: says that a daemon has much the same effect as join. A daemon is killed "
      "when main ends; join waits for it.");
}
