// An Event is a gate that opens for all. A Condition wakes as many as it is told to.
#include <vector>

#include "common/mp/condition.h"
#include "common/mp/event.h"
#include "common/mp/examples/say.h"
#include "common/mp/process.h"
#include "common/mp/raw_shared.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;
using forkecho::sys::Deadline;

namespace {

constexpr int waiters = 3;

template <typename Work>
std::vector<mp::Process> start_three(Work work) {
  std::vector<mp::Process> started;
  for (int i = 0; i < waiters; ++i) started.emplace_back(work).start();
  return started;
}

void join_all(std::vector<mp::Process> processes) {
  for (mp::Process& process : processes) process.join();
}

void show_event() {
  mp::Event start;
  auto runners = start_three([&] {
    start.wait();
    say("a runner runs");
  });
  say("before the shot: ", start.wait(Deadline::immediately()) ? "open" : "closed");
  start.set();
  join_all(std::move(runners));
}

/// Both are guarded by the condition's lock.
struct Counts {
  int waiting;
  int woken;
};

void show_condition() {
  mp::Condition bell;
  const mp::RawValue<Counts> counts;
  auto sleepers = start_three([&] {
    bell.acquire();
    ++counts->waiting;
    bell.notify();  // main waits for this
    bell.wait();
    ++counts->woken;
    bell.notify();
    bell.release();
  });
  bell.acquire();
  bell.wait_for([&] { return counts->waiting == waiters; });
  bell.notify(1);
  bell.wait_for([&] { return counts->woken == 1; });
  say("notify(1): ", counts->woken, " woke");
  bell.notify_all();
  bell.wait_for([&] { return counts->woken == waiters; });
  say("notify_all: ", counts->woken, " woke in all");
  bell.release();
  join_all(std::move(sleepers));
}

}  // namespace

int main() {
  show_event();
  show_condition();
}
