// A process is killed (SIGKILL) in the middle of what it does with each of mp's objects. What
// becomes of the next one who uses that object?
//
//   after_a_kill
//
// after_a_kill.py is the same with Python's multiprocessing.
#include <csignal>
#include <functional>

#include "common/mp/barrier.h"
#include "common/mp/condition.h"
#include "common/mp/event.h"
#include "common/mp/examples/say.h"
#include "common/mp/joinable_queue.h"
#include "common/mp/lock.h"
#include "common/mp/manager.h"
#include "common/mp/pool.h"
#include "common/mp/process.h"
#include "common/mp/queue.h"
#include "common/mp/rlock.h"
#include "common/mp/semaphore.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;
using forkecho::sys::Deadline;

namespace {

constexpr const char* goes_on = "goes on";
constexpr const char* is_told = "goes on, and is told of the death";
constexpr const char* hangs = "hangs";

/// Nobody who lives needs as long.
Deadline in_good_time() {
  return Deadline::after(std::chrono::seconds(5));
}

/// Kills a process that has done `begin`, and then does `wait_in` until it is killed.
void kill_one_who(const std::function<void()>& begin,
                  const std::function<void()>& wait_in = pause) {
  mp::Event has_begun;
  mp::Process victim([&] {
    begin();
    has_begun.set();
    for (;;) wait_in();
  });
  victim.start();
  has_begun.wait();
  victim.kill();
  victim.join();
}

const char* meaning_of(mp::Acquired acquired) {
  if (acquired == mp::Acquired::timed_out) return hangs;
  return acquired == mp::Acquired::owner_died ? is_told : goes_on;
}

template <typename AnyLock>
const char* after_holder_of() {
  AnyLock lock;
  kill_one_who([&] { lock.acquire(); });
  return meaning_of(lock.acquire(in_good_time()));
}

const char* semaphore() {
  mp::Semaphore one(1);
  kill_one_who([&] { one.acquire(); });
  return one.acquire(in_good_time()) ? goes_on : hangs;
}

/// The one who waits has given the lock up when it can be taken.
const char* condition() {
  mp::Condition condition;
  mp::Event waits;
  mp::Process other([&] {
    const mp::LockGuard guard(condition);
    waits.set();
    condition.wait();
  });
  other.start();
  waits.wait();
  kill_one_who([&] { condition.acquire(); }, [&] { condition.wait(); });
  condition.acquire(in_good_time());
  condition.notify_all();
  condition.release();
  return other.join(in_good_time()) ? goes_on : hangs;
}

const char* event() {
  mp::Event event;
  mp::Process other([&] { event.wait(); });
  other.start();
  kill_one_who([] {}, [&] { event.wait(); });
  event.set();
  return other.join(in_good_time()) ? goes_on : hangs;
}

const char* barrier() {
  mp::Barrier barrier(2);
  mp::Process victim([&] { barrier.wait(); });
  victim.start();
  while (barrier.n_waiting() == 0) usleep(1000);
  victim.kill();
  victim.join();
  try {
    barrier.wait(in_good_time());
  } catch (const mp::BrokenBarrier&) {
    return is_told;
  }
  return goes_on;
}

const char* queue() {
  mp::Queue<int> queue;
  kill_one_who([] {}, [&] { queue.get(); });
  queue.put(1);
  return queue.get(in_good_time()) ? goes_on : hangs;
}

const char* joinable_queue() {
  mp::JoinableQueue<int> queue;
  queue.put(1);
  kill_one_who([&] { queue.get(); });
  const mp::Joined joined = queue.join(in_good_time());
  if (!joined) return hangs;
  return joined.abandoned == 1 ? is_told : goes_on;
}

const char* pool() {
  mp::Pool pool(2);
  auto result = pool.apply_async([] { std::raise(SIGKILL); });
  try {
    return result.get(in_good_time()) ? goes_on : hangs;
  } catch (const mp::WorkerDied&) {
    return is_told;
  }
}

const char* managers_lock() {
  mp::Manager manager;
  const auto lock = manager.lock();
  kill_one_who([&] { lock.acquire(); });
  return meaning_of(lock.acquire(in_good_time()));
}

}  // namespace

int main() {
  say("lock: ", after_holder_of<mp::Lock>());
  say("rlock: ", after_holder_of<mp::RLock>());
  say("semaphore: ", semaphore());
  say("condition: ", condition());
  say("event: ", event());
  say("barrier: ", barrier());
  say("queue: ", queue());
  say("joinable_queue: ", joinable_queue());
  say("pool: ", pool());
  say("managers_lock: ", managers_lock());
  say("The document: warns that to terminate a process which holds a lock, a semaphore or a queue "
      "leaves the others in a deadlock. Python's does (after_a_kill.py); this one does not.");
}
