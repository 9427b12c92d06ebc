#include "common/mp/robust_mutex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

#include "common/sys/check_syscall.h"

namespace forkecho::mp {

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

Acquired RobustMutex::lock(sys::Deadline deadline) {
  if (deadline.is_never()) return after(pthread_mutex_lock(&mutex_));
  const timespec until = deadline.to_timespec();
  return after(pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &until));
}

Acquired RobustMutex::try_lock() {
  return after(pthread_mutex_trylock(&mutex_));
}

Acquired RobustMutex::after(int error) {
  switch (error) {
    case 0:
      return Acquired::yes;
    case EOWNERDEAD:
      pthread_mutex_consistent(&mutex_);
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

bool RobustMutex::held_by_caller() const {
  // The word that the kernel itself reads when a holder dies (set_robust_list(2)): the holder's
  // thread id, with two flags above it.
  const int& lock = mutex_.__data.__lock;
  const auto word = static_cast<unsigned>(__atomic_load_n(&lock, __ATOMIC_RELAXED));
  return static_cast<long>(word & FUTEX_TID_MASK) == syscall(SYS_gettid);
}

void RobustMutex::unlock() {
  const int error = pthread_mutex_unlock(&mutex_);
  if (error == EPERM) throw std::logic_error("release of a lock that the caller does not hold");
  if (error != 0) sys::throw_errno(error, "releasing a lock");
}

}  // namespace forkecho::mp
