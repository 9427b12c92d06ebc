#include "common/mp/robust_mutex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>

#include "common/mp/futex.h"
#include "common/mp/step.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp {
namespace {

/// GCC 12's thread sanitizer does not know this call, and would not see that the mutex is held.
int clocklock(pthread_mutex_t& mutex, const timespec& until) {
  const int error = pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until);
#ifdef __SANITIZE_THREAD__
  if (error == 0 || error == EOWNERDEAD) {
    __tsan_mutex_pre_lock(&mutex, 0);
    __tsan_mutex_post_lock(&mutex, 0, 0);
  }
#endif
  return error;
}

}  // namespace

RobustMutex::RobustMutex() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  const int error = pthread_mutex_init(&mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
  if (error != 0) sys::throw_errno(error, "pthread_mutex_init");
}

sys::Deadline RobustMutex::turn_deadline(sys::Deadline deadline) {
  return std::max(deadline, sys::Deadline::after(longest_sleep),
                  [](const auto& a, const auto& b) { return a.when() < b.when(); });
}

/// Waits as long as the mutex is another's, and returns what came of it.
int RobustMutex::keep_trying(int error, sys::Deadline deadline) {
  // One long wait would not do. An unlock wakes one waiter; when that one is killed before it takes
  // the mutex, and a third has taken and released it in the meantime, which sees no sign of
  // waiters, then the others sleep although it is free. So they look for themselves.
  while ((error == EBUSY || error == ETIMEDOUT) && !deadline.passed()) {
    FORKECHO_MP_STEP("mutex.lock.waiting");
    const auto until = earlier(deadline, sys::Deadline::after(longest_sleep)).to_timespec();
    error = clocklock(mutex_, until);
    if (error == 0) ++detail::robust_mutexes_held;
  }
  return error;
}

Acquired RobustMutex::meaning_of(int error) {
  switch (error) {
    case 0:
      return Acquired::yes;
    case EOWNERDEAD:
      FORKECHO_MP_STEP("mutex.lock.inherited");
      pthread_mutex_consistent(&mutex_);
      ++detail::robust_mutexes_held;
      return Acquired::owner_died;
    case ETIMEDOUT:
    case EBUSY:
      return Acquired::timed_out;
    case EDEADLK:
      throw std::logic_error("acquire of a lock that the caller holds already");
    default:
      sys::throw_errno(error, "acquiring a lock");
  }
}

// The word that the kernel itself reads and changes when a holder dies (set_robust_list(2)): the
// holder's thread id, 0 once it is dead, with two flags above it.
unsigned RobustMutex::word() const {
  const int& lock = mutex_.__data.__lock;
  return static_cast<unsigned>(__atomic_load_n(&lock, __ATOMIC_ACQUIRE));
}

unsigned RobustMutex::holder() const {
  return word() & FUTEX_TID_MASK;
}

bool RobustMutex::is_orphaned() const {
  return (word() & (FUTEX_TID_MASK | FUTEX_OWNER_DIED)) == FUTEX_OWNER_DIED;
}

bool RobustMutex::held_by_caller() const {
  const unsigned thread = holder();
  return thread != 0 && static_cast<long>(thread) == syscall(SYS_gettid);
}

void RobustMutex::refuse_another() {
  throw std::length_error("a thread holds at most " + std::to_string(most_held_by_a_thread) +
                          " locks at the same time");
}

void RobustMutex::refuse_unlock(int error) {
  if (error == EPERM) throw std::logic_error("release of a lock that the caller does not hold");
  sys::throw_errno(error, "releasing a lock");
}

void RobustMutex::unlock_before_unmapping() {
  // A process that never locks does not act on what others could have written into the mutex.
  if (detail::robust_mutexes_held > 0 && held_by_caller()) unlock();
}

}  // namespace forkecho::mp
