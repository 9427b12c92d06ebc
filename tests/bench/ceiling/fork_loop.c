// fork_loop: the ceiling of a process for every connection.
//
// An uppercase echo that forks for each connection and does nothing else. Prints its port, serves
// until it is killed. What makes it as cheap as C can be here:
// - static, not position independent, no heap: fork copies few mappings and few touched pages;
// - SIGCHLD ignored: the kernel reaps, nobody waits;
// - _Fork: no handlers of libc's or anyone's run around it;
// - the child closes nothing by itself, its end does.
#include "ceiling.h"

int main(void) {
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  const int listener = listen_on_loopback();
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
