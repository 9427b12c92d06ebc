// fork_loop [PARENTS]: the ceiling of a process for every connection.
//
// An uppercase echo that forks for each connection and does nothing else, in one parent, or in as
// many as are asked for, which share the listener. Prints its port, serves until it is killed; the
// other parents die with it. What makes it as cheap as C can be here:
// - static, not position independent, no heap: fork copies few mappings and few touched pages;
// - SIGCHLD ignored: the kernel reaps, nobody waits;
// - _Fork: no handlers of libc's or anyone's run around it;
// - the child closes nothing by itself, its end does.
#include "ceiling.h"

static void accept_and_fork(int listener) {
  for (;;) {
    const int connection = accept(listener, NULL, NULL);
    if (connection < 0 && errno == ECONNABORTED) continue;
    check(connection, "accept");
    const pid_t child = check(_Fork(), "fork");
    if (child == 0) {
      serve(connection);
      _exit(0);
    }
    close(connection);
  }
}

int main(int argc, char** argv) {
  if (argc > 2) {
    fprintf(stderr, "usage: fork_loop [PARENTS]\n");
    return 64;
  }
  const long parents = argc == 2 ? number(argv[1], 1, 64) : 1;
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  const int listener = listen_on_loopback();
  const pid_t first = getpid();
  for (long i = 1; i < parents; ++i) {
    if (check(_Fork(), "fork") != 0) continue;
    die_with(first);
    accept_and_fork(listener);
  }
  accept_and_fork(listener);
}
