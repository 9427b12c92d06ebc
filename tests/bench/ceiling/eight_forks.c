// eight_forks COUNT: eight children forked one after the other, each of which waits for its end:
// the ceiling of a pool's start-up. Only the forks are timed.
//
// Prints one JSON line: nanoseconds for eight.
#include <sys/wait.h>

#include "ceiling.h"

enum { CHILDREN = 8 };

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: eight_forks COUNT\n");
    return 64;
  }
  const long count = number(argv[1], 1, 1000000);
  int64_t spent = 0;
  for (long i = 0; i < count; ++i) {
    int life[2];
    check(pipe(life), "pipe");
    const int64_t begin = now_ns();
    for (int child = 0; child < CHILDREN; ++child) {
      if (check(_Fork(), "fork") != 0) continue;
      close(life[1]);
      char nothing;
      _exit(read(life[0], &nothing, 1) == 0 ? 0 : 1);
    }
    spent += now_ns() - begin;
    close(life[0]);
    close(life[1]);
    for (int child = 0; child < CHILDREN; ++child) check(waitpid(-1, NULL, 0), "waitpid");
  }
  printf("{\"count\":%ld,\"ns_each\":%.0f}\n", count, (double)spent / (double)count);
  return 0;
}
