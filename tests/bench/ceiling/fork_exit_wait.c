// fork_exit_wait COUNT: what a process costs that does nothing: fork, _exit, waitpid, one at a
// time.
//
// Prints one JSON line. It is the floor under a connection's cost in fork mode, and the ceiling of
// a process's start and join.
#include <sys/wait.h>

#include "ceiling.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: fork_exit_wait COUNT\n");
    return 64;
  }
  const long count = number(argv[1], 1, 10000000);
  const int64_t begin = now_ns();
  for (long i = 0; i < count; ++i) {
    const pid_t child = check(_Fork(), "fork");
    if (child == 0) _exit(0);
    check(waitpid(child, NULL, 0), "waitpid");
  }
  const int64_t spent = now_ns() - begin;
  printf("{\"count\":%ld,\"ns_each\":%.0f}\n", count, (double)spent / (double)count);
  return 0;
}
