// An Event is a gate that opens for all. A Condition wakes as many as it is told to.
#include <vector>

#include "common/mp/condition.h"
#include "common/mp/event.h"
#include "common/mp/examples/say.h"
#include "common/mp/lock.h"
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

/// Guarded by the lock of the two conditions.
struct Counts {
  int waiting;
  int woken;
};

void show_condition() {
  mp::Lock lock;
  mp::Condition bell(lock);
  mp::Condition changed(lock);  // for main, which must not take what is meant for a sleeper
  const mp::RawValue<Counts> counts;
  auto sleepers = start_three([&] {
    const mp::LockGuard guard(lock);
    ++counts->waiting;
    changed.notify();
    bell.wait();
    ++counts->woken;
    changed.notify();
  });
  {
    const mp::LockGuard guard(lock);
    changed.wait_for([&] { return counts->waiting == waiters; });
    bell.notify(1);
    changed.wait_for([&] { return counts->woken == 1; });
    say("notify(1): ", counts->woken, " woke");
    bell.notify_all();
    changed.wait_for([&] { return counts->woken == waiters; });
    say("notify_all: ", counts->woken, " woke in all");
  }
  join_all(std::move(sleepers));
}

}  // namespace

int main() {
  show_event();
  show_condition();
}
