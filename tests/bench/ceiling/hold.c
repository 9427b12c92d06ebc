// hold HOST PORT CONNECTIONS [SIZE]: opens connections and holds them.
//
// On each it sends one request of SIZE bytes (64) and compares the reply; sixteen are under way at
// once, as with drive. Then it prints "held N", and obeys the lines of its standard input, each
// answered by a line when it is done:
//   open K    K more of them: "held N"
//   ask       a request and its reply once more on every one: "answered N"
//   close K   closes those K that were opened last: "held N"
// Anything else, or the end of the input: it closes them all and ends. A connection that is not
// answered as it should be ends the program with one line and status 1.
//
// The descriptors of one process are limited (and the hard limit cannot be raised without
// privilege), so it divides the connections over as many processes as that takes; and over source
// addresses, since one address has some 28,000 ports towards one target.
#include "ceiling.h"

#include <sys/wait.h>

enum { SPARE_DESCRIPTORS = 64, CONNECTIONS_PER_SOURCE = 1000, UNDER_WAY = 16, MAX_HOLDERS = 1024 };

static struct payload payload;
static struct sockaddr_in target;

// ---- one process, which holds a share ----

struct command {
  char what;   // 'o', 'a' or 'c', as the lines above
  long count;  // of its share
};

static int* connections;
static long held;

static void answered(long index) {
  errno = 0;
  if (receive_reply(connections[index], &payload)) return;
  fprintf(stderr, "connection %ld: %s\n", index, errno ? strerror(errno) : "short or wrong reply");
  exit(1);
}

static void ask(long first, long last) {
  for (long i = first; i < last; ++i) {
    if (!send_request(connections[i], &payload)) die("send");
  }
  for (long i = first; i < last; ++i) answered(i);
}

static long until(long first, long last) {
  return first + UNDER_WAY < last ? first + UNDER_WAY : last;
}

static void open_more(long count, long source) {
  const long last = held + count;
  while (held < last) {
    const long first = held;
    for (; held < until(first, last); ++held) {
      connections[held] = check(
          connect_from(&target, (uint32_t)(source + held / CONNECTIONS_PER_SOURCE)), "connect");
    }
    ask(first, held);
  }
}

static void ask_all(void) {
  for (long first = 0; first < held; first = until(first, held)) ask(first, until(first, held));
}

static void close_last(long count) {
  for (; count > 0; --count) close(connections[--held]);
}

static void obey(struct command command, long source) {
  if (command.what == 'o') open_more(command.count, source);
  if (command.what == 'a') ask_all();
  if (command.what == 'c') close_last(command.count);
}

// Until the other end of `orders` is closed. Each order is sent back when it is obeyed.
static _Noreturn void hold_share(int orders, long share, long source) {
  struct command command;
  connections = calloc((size_t)share, sizeof *connections);
  if (connections == NULL) die("calloc");
  while (check((int)read(orders, &command, sizeof command), "read") == sizeof command) {
    obey(command, source);
    check((int)write(orders, &command, sizeof command), "write");
  }
  _exit(0);
}

// ---- the parent, which divides the work ----

struct holder {
  int orders;
  long held;
};

static struct holder holders[MAX_HOLDERS];
static int holder_count;
static long share_size, total;

static long largest_share(void) {
  struct rlimit limit;
  check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  return limit.rlim_cur > 1000000 ? 1000000 : (long)limit.rlim_cur - SPARE_DESCRIPTORS;
}

static void start_holder(void) {
  int ends[2];
  if (holder_count == MAX_HOLDERS) {
    fprintf(stderr, "too many connections\n");
    exit(64);
  }
  check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), "socketpair");
  const long sources = share_size / CONNECTIONS_PER_SOURCE + 1;
  const pid_t parent = getpid();
  if (check(fork(), "fork") == 0) {
    die_with(parent);
    for (int i = 0; i < holder_count; ++i) close(holders[i].orders);
    close(ends[0]);
    hold_share(ends[1], share_size, holder_count * sources);
  }
  close(ends[1]);
  holders[holder_count++] = (struct holder){.orders = ends[0]};
}

static void order(const struct holder* holder, char what, long count) {
  const struct command command = {.what = what, .count = count};
  check((int)write(holder->orders, &command, sizeof command), "write");
}

// The holder that ends instead has said why.
static void wait_for(const struct holder* holder) {
  struct command done;
  if (read(holder->orders, &done, sizeof done) != sizeof done) exit(1);
}

static long smaller(long a, long b) {
  return a < b ? a : b;
}

static void grow(long count) {
  while (count > 0) {
    if (total == holder_count * share_size) start_holder();
    struct holder* holder = &holders[total / share_size];
    const long part = smaller(count, share_size - holder->held);
    order(holder, 'o', part);
    wait_for(holder);
    holder->held += part;
    total += part;
    count -= part;
  }
}

static void ask_everyone(void) {
  for (int i = 0; i < holder_count; ++i) order(&holders[i], 'a', 0);
  for (int i = 0; i < holder_count; ++i) wait_for(&holders[i]);
}

// All at once, whosever they are.
static void shrink(long count) {
  long left = smaller(count, total);
  total -= left;
  for (int i = holder_count - 1; i >= 0; --i) {
    const long part = smaller(left, holders[i].held);
    order(&holders[i], 'c', part);
    holders[i].held -= part;
    left -= part;
  }
  for (int i = 0; i < holder_count; ++i) wait_for(&holders[i]);
}

static void say(const char* what) {
  printf("%s %ld\n", what, total);
  fflush(stdout);
}

static bool obey_line(char* line) {
  line[strcspn(line, "\n")] = '\0';
  if (strncmp(line, "open ", 5) == 0) {
    grow(number(line + 5, 1, 1000000));
    say("held");
  } else if (strncmp(line, "close ", 6) == 0) {
    shrink(number(line + 6, 1, 1000000));
    say("held");
  } else if (strcmp(line, "ask") == 0) {
    ask_everyone();
    say("answered");
  } else {
    return false;
  }
  return true;
}

static bool end_all(void) {
  bool good = true;
  for (int i = 0; i < holder_count; ++i) close(holders[i].orders);
  for (int i = 0; i < holder_count; ++i) {
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
  target = parse_target(argv[1], argv[2]);
  const long count = number(argv[3], 0, 1000000);
  fill_payload(&payload, argc == 5 ? (size_t)number(argv[4], 1, BUFFER_SIZE) : 64);
  raise_descriptor_limit();
  signal(SIGPIPE, SIG_IGN);
  share_size = largest_share();
  grow(count);
  say("held");
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL && obey_line(line)) continue;
  return end_all() ? 0 : 1;
}
