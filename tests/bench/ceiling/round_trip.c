// round_trip COUNT: 64 bytes to a child over a socket pair and back, one at a time: the ceiling of
// a call to another process.
//
// Prints one JSON line.
#include <sys/wait.h>

#include "ceiling.h"

enum { MESSAGE = 64 };

static void answer(int socket) {
  for (;;) {
    const ssize_t count = read(socket, buffer, MESSAGE);
    if (count <= 0) _exit(0);
    if (write(socket, buffer, (size_t)count) != count) _exit(1);
  }
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: round_trip COUNT\n");
    return 64;
  }
  const long count = number(argv[1], 1, 100000000);
  int ends[2];
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
  const pid_t child = check(_Fork(), "fork");
  if (child == 0) {
    close(ends[0]);
    answer(ends[1]);
  }
  close(ends[1]);
  const int64_t begin = now_ns();
  for (long i = 0; i < count; ++i) {
    if (write(ends[0], buffer, MESSAGE) != MESSAGE) die("write");
    if (read(ends[0], buffer, MESSAGE) != MESSAGE) die("read");
  }
  const int64_t spent = now_ns() - begin;
  close(ends[0]);
  check(waitpid(child, NULL, 0), "waitpid");
  printf("{\"count\":%ld,\"ns_each\":%.0f}\n", count, (double)spent / (double)count);
  return 0;
}
