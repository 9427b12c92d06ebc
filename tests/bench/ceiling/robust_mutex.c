// robust_mutex COUNT: lock and unlock of a robust mutex in shared memory, by one process: the
// ceiling of a lock that survives its holder.
//
// Prints one JSON line.
#include <pthread.h>
#include <sys/mman.h>

#include "ceiling.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: robust_mutex COUNT\n");
    return 64;
  }
  const long count = number(argv[1], 1, 1000000000);
  pthread_mutex_t* mutex = mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (mutex == MAP_FAILED) die("mmap");
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if (pthread_mutex_init(mutex, &attributes) != 0) die("pthread_mutex_init");
  const int64_t begin = now_ns();
  for (long i = 0; i < count; ++i) {
    if (pthread_mutex_lock(mutex) != 0) die("pthread_mutex_lock");
    pthread_mutex_unlock(mutex);
  }
  const int64_t spent = now_ns() - begin;
  printf("{\"count\":%ld,\"ns_each\":%.2f}\n", count, (double)spent / (double)count);
  return 0;
}
