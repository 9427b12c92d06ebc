// hold HOST PORT CONNECTIONS [SIZE]: opens connections and holds them.
//
// On each it sends one request of SIZE bytes (64) and compares the reply. Then it prints "held N"
// and waits for a line or the end of its standard input; then it closes them all and ends. One that
// is not answered as it should be ends the program with one line and status 1.
//
// The descriptors of one process are limited (and the hard limit cannot be raised without
// privilege), so it divides the connections over as many processes as that takes; and over source
// addresses, since one address has some 28,000 ports towards one target.
#include "ceiling.h"

#include <sys/wait.h>

enum { SPARE_DESCRIPTORS = 64, CONNECTIONS_PER_SOURCE = 1000 };

static struct payload payload;

static void hold_one(const struct sockaddr_in* target, long index) {
  const int connection = connect_from(target, (uint32_t)(index / CONNECTIONS_PER_SOURCE));
  check(connection, "connect");
  errno = 0;
  if (send_request(connection, &payload) && receive_reply(connection, &payload)) return;
  fprintf(stderr, "connection %ld: %s\n", index, errno ? strerror(errno) : "short or wrong reply");
  exit(1);
}

// Writes one byte to `ready` when all are answered, then waits until `release` is closed.
static void hold_share(const struct sockaddr_in* target, long first, long last, int ready,
                       int release) {
  char byte = 0;
  for (long i = first; i < last; ++i) hold_one(target, i);
  check((int)write(ready, &byte, 1), "write");
  check((int)read(release, &byte, 1), "read");
}

static long share_size(void) {
  struct rlimit limit;
  check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  return limit.rlim_cur > 1000000 ? 1000000 : (long)limit.rlim_cur - SPARE_DESCRIPTORS;
}

// Starts the processes that hold `count` connections. Returns how many.
static int start_holders(const struct sockaddr_in* target, long count, int ready[2],
                         int release[2]) {
  const long share = share_size();
  const pid_t parent = getpid();
  int holders = 0;
  for (long first = 0; first < count; first += share, ++holders) {
    if (check(fork(), "fork") != 0) continue;
    die_with(parent);
    close(ready[0]);
    close(release[1]);
    hold_share(target, first, first + share < count ? first + share : count, ready[1], release[0]);
    _exit(0);
  }
  return holders;
}

static bool wait_for_all(int holders) {
  bool good = true;
  for (int i = 0; i < holders; ++i) {
    int status = 0;
    check(wait(&status), "wait");
    good = good && status == 0;
  }
  return good;
}

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    fprintf(stderr, "usage: hold HOST PORT CONNECTIONS [SIZE]\n");
    return 64;
  }
  const struct sockaddr_in target = parse_target(argv[1], argv[2]);
  const long count = number(argv[3], 1, 1000000);
  fill_payload(&payload, argc == 5 ? (size_t)number(argv[4], 1, BUFFER_SIZE) : 64);
  raise_descriptor_limit();
  int ready[2], release[2];
  check(pipe(ready), "pipe");
  check(pipe(release), "pipe");
  const int holders = start_holders(&target, count, ready, release);
  close(ready[1]);
  close(release[0]);

  char byte = 0;
  int answered = 0;
  while (answered < holders && read(ready[0], &byte, 1) == 1) ++answered;
  if (answered == holders) {
    printf("held %ld\n", count);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n') continue;
  }
  close(release[1]);
  return wait_for_all(holders) ? 0 : 1;
}
