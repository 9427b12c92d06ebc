// prefork_loop WORKERS: the ceiling of pre-forked workers, one connection each at a time.
//
// The workers block in accept on one listener; the kernel wakes one for each connection, in turn.
// Nobody counts, replaces or resizes. Prints its port, serves until it is killed; the workers die
// with it. With one worker it is the ceiling of the iterative server.
#include "ceiling.h"

static void work(int listener) {
  for (;;) {
    const int connection = accept(listener, NULL, NULL);
    if (connection < 0 && errno == ECONNABORTED) continue;
    check(connection, "accept");
    serve(connection);
    close(connection);
  }
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: prefork_loop WORKERS\n");
    return 64;
  }
  const long workers = number(argv[1], 1, 10000);
  signal(SIGPIPE, SIG_IGN);
  const int listener = listen_on_loopback();
  const pid_t parent = getpid();
  for (long i = 0; i < workers; ++i) {
    if (check(_Fork(), "fork") == 0) {
      die_with(parent);
      work(listener);
    }
  }
  for (;;) pause();
}
