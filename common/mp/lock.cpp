#include "common/mp/lock.h"

#include <cerrno>

#include "common/sys/check_syscall.h"

namespace forkecho::mp {

Lock::Lock() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  const int error = pthread_mutex_init(&*mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
  if (error != 0) sys::throw_errno(error, "pthread_mutex_init");
}

Acquired Lock::acquire(sys::Deadline deadline) {
  int error = 0;
  if (deadline.is_never()) {
    error = pthread_mutex_lock(&*mutex_);
  } else {
    const timespec until = deadline.to_timespec();
    error = pthread_mutex_clocklock(&*mutex_, CLOCK_MONOTONIC, &until);
  }
  switch (error) {
    case 0:
      return Acquired::yes;
    case EOWNERDEAD:
      pthread_mutex_consistent(&*mutex_);
      return Acquired::owner_died;
    case ETIMEDOUT:
      return Acquired::timed_out;
    default:
      sys::throw_errno(error, "acquiring a lock");
  }
}

void Lock::release() {
  if (const int error = pthread_mutex_unlock(&*mutex_)) sys::throw_errno(error, "releasing a lock");
}

}  // namespace forkecho::mp
