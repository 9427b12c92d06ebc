// drive HOST PORT crr|rr CONNECTIONS SECONDS SIZE [PROCESSES [uppercase|as-sent]]: a load that
// costs as little as it can.
//
// The neutral client of the benchmark: it drives ours and the ceiling alike, and keeps exact counts
// to hold the server's books against. Closed loop, CONNECTIONS at once:
//   crr  connect, request, reply, half-close, end of file, close, and again;
//   rr   the connections are held, each with one request under way at a time.
// Every reply byte is compared: with the request in upper case or, where the server only echoes,
// with the bytes as they were sent. One epoll loop (or PROCESSES of them, which share the
// connections) is cheaper than a process for each connection, and what the client does not use is
// left to the server: on one machine whatever both sides of a ratio share draws it towards one.
//
// It half-closes and waits for the end instead of just closing, so that a connection counts only
// when the server is done with it, and TIME_WAIT stays on this side. Prints one JSON line: `opened`
// counts every connection that was established, `connections` those that ended as they should,
// `requests` the right replies, all of them over the whole run; `cps` and `rps` only what fell
// within the window of `seconds`. Exit status 1 if there was an error.
#include "ceiling.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { MAX_PROCESSES = 64, EVENTS = 256 };
static const int64_t DRAIN_NS = 5000000000;

struct link {
  int fd;           // -1: none
  size_t received;  // bytes of the reply under way
  bool ending;      // half-closed, waits for the end of file
};

struct counts {
  long opened, connections, requests, errors;
};

// One process's results, in memory shared with the parent.
struct result {
  struct counts total, window;
  double seconds;
};

struct plan {
  struct sockaddr_in target;
  bool hold;  // rr
  long connections;
  int64_t duration_ns;
};

static struct payload payload;
static struct plan plan;
static struct counts counts;
static uint32_t next_source;
static int epoll;
static long alive;
static bool stopping;

static void fail(struct link* link) {
  ++counts.errors;
  --alive;
  if (link->fd >= 0) close(link->fd);
  link->fd = -1;
}

static void watch(struct link* link) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
  check(epoll_ctl(epoll, EPOLL_CTL_ADD, link->fd, &event), "epoll_ctl");
}

static void open_link(struct link* link) {
  *link = (struct link){.fd = connect_from(&plan.target, next_source++)};
  ++alive;
  if (link->fd < 0) {
    fail(link);
    return;
  }
  ++counts.opened;
}

// A held connection proves itself before the window begins, so that neither forking nor the first
// touch of memory is counted as a request's cost.
static void open_held(struct link* link) {
  const int on = 1;
  open_link(link);
  if (link->fd < 0) return;
  setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!send_request(link->fd, &payload) || !receive_reply(link->fd, &payload)) {
    fail(link);
    return;
  }
  ++counts.requests;
  watch(link);
}

static void request_once(struct link* link) {
  open_link(link);
  if (link->fd < 0) return;
  if (!send_request(link->fd, &payload)) {
    fail(link);
    return;
  }
  watch(link);
}

static void end_of_file(struct link* link) {
  if (!link->ending) {
    fail(link);
    return;
  }
  ++counts.connections;
  --alive;
  close(link->fd);
  link->fd = -1;
  if (!plan.hold && !stopping) request_once(link);
}

static void reply_complete(struct link* link) {
  ++counts.requests;
  link->received = 0;
  if (plan.hold && !stopping) {
    if (!send_request(link->fd, &payload)) fail(link);
    return;
  }
  link->ending = true;
  shutdown(link->fd, SHUT_WR);
}

static void readable(struct link* link) {
  const ssize_t size = recv(link->fd, buffer, sizeof buffer, 0);
  if (size == 0) {
    end_of_file(link);
    return;
  }
  const size_t due = link->ending ? 0 : payload.size - link->received;
  if (size < 0 || (size_t)size > due) {
    fail(link);
    return;
  }
  if (memcmp(buffer, payload.reply + link->received, (size_t)size) != 0) {
    fail(link);
    return;
  }
  link->received += (size_t)size;
  if (link->received == payload.size) reply_complete(link);
}

static void handle_events(int64_t until) {
  struct epoll_event events[EVENTS];
  const int64_t left_ms = (until - now_ns()) / 1000000 + 1;
  const int ready = epoll_wait(epoll, events, EVENTS, left_ms > 0 ? (int)left_ms : 0);
  for (int i = 0; i < ready; ++i) readable(events[i].data.ptr);
}

static struct counts difference(struct counts end, struct counts begin) {
  return (struct counts){end.opened - begin.opened, end.connections - begin.connections,
                         end.requests - begin.requests, end.errors - begin.errors};
}

// At the end of the window nothing new begins, and what is under way is finished.
static void run(struct link* links, struct result* result) {
  for (long i = 0; plan.hold && i < plan.connections; ++i) open_held(&links[i]);
  const struct counts before = counts;
  const int64_t begin = now_ns(), end = begin + plan.duration_ns;
  for (long i = 0; i < plan.connections; ++i) {
    if (!plan.hold) {
      request_once(&links[i]);
    } else if (links[i].fd >= 0 && !send_request(links[i].fd, &payload)) {
      fail(&links[i]);
    }
  }
  while (alive > 0 && now_ns() < end) handle_events(end);
  result->seconds = (double)(now_ns() - begin) / 1e9;
  result->window = difference(counts, before);
  stopping = true;
  while (alive > 0 && now_ns() < end + DRAIN_NS) handle_events(end + DRAIN_NS);
  counts.errors += alive;
  result->total = counts;
}

static void run_process(int index, int processes, struct result* result) {
  next_source = (uint32_t)getpid() << 8;
  plan.connections = plan.connections / processes + (index < plan.connections % processes);
  struct link* links = calloc((size_t)plan.connections + 1, sizeof *links);
  if (links == NULL) die("calloc");
  epoll = check(epoll_create1(0), "epoll_create1");
  run(links, result);
}

static void run_all(int processes, struct result* results) {
  const pid_t parent = getpid();
  for (int i = 1; i < processes; ++i) {
    if (check(fork(), "fork") == 0) {
      die_with(parent);
      run_process(i, processes, &results[i]);
      _exit(0);
    }
  }
  run_process(0, processes, &results[0]);
  for (int i = 1; i < processes; ++i) {
    int status = 0;
    check(wait(&status), "wait");
    if (status != 0) ++results[0].total.errors;
  }
}

static void add_usage_of(int who, struct rusage* sum) {
  struct rusage usage;
  check(getrusage(who, &usage), "getrusage");
  timeradd(&sum->ru_utime, &usage.ru_utime, &sum->ru_utime);
  timeradd(&sum->ru_stime, &usage.ru_stime, &sum->ru_stime);
  sum->ru_minflt += usage.ru_minflt;
  sum->ru_nvcsw += usage.ru_nvcsw;
  sum->ru_nivcsw += usage.ru_nivcsw;
}

// Prints the sum over the processes. Returns the number of errors.
static long print_sum(int processes, const struct result* results) {
  struct counts sum = {0};
  double seconds = 0, cps = 0, rps = 0;
  for (int i = 0; i < processes; ++i) {
    const struct result* one = &results[i];
    sum.opened += one->total.opened;
    sum.connections += one->total.connections;
    sum.requests += one->total.requests;
    sum.errors += one->total.errors;
    seconds = one->seconds > seconds ? one->seconds : seconds;
    cps += (double)one->window.connections / one->seconds;
    rps += (double)one->window.requests / one->seconds;
  }
  struct rusage usage = {0};
  add_usage_of(RUSAGE_SELF, &usage);
  add_usage_of(RUSAGE_CHILDREN, &usage);
  printf("{\"opened\":%ld,\"connections\":%ld,\"requests\":%ld,\"errors\":%ld,", sum.opened,
         sum.connections, sum.requests, sum.errors);
  printf("\"seconds\":%.4f,\"cps\":%.1f,\"rps\":%.1f,", seconds, cps, rps);
  printf("\"cpu_user_s\":%ld.%06ld,\"cpu_system_s\":%ld.%06ld,", usage.ru_utime.tv_sec,
         usage.ru_utime.tv_usec, usage.ru_stime.tv_sec, usage.ru_stime.tv_usec);
  printf("\"minor_faults\":%ld,\"context_switches\":%ld}\n", usage.ru_minflt,
         usage.ru_nvcsw + usage.ru_nivcsw);
  return sum.errors;
}

// What a server that only echoes gives back.
static bool is_as_sent(const char* text) {
  if (strcmp(text, "as-sent") == 0) return true;
  if (strcmp(text, "uppercase") == 0) return false;
  fprintf(stderr, "%s: not uppercase or as-sent\n", text);
  exit(64);
}

static void read_arguments(int argc, char** argv) {
  const bool known = argc >= 7 && (strcmp(argv[3], "rr") == 0 || strcmp(argv[3], "crr") == 0);
  if (!known || argc > 9) {
    fprintf(stderr,
            "usage: drive HOST PORT crr|rr CONNECTIONS SECONDS SIZE [PROCESSES "
            "[uppercase|as-sent]]\n");
    exit(64);
  }
  char* end = NULL;
  const double seconds = strtod(argv[5], &end);
  if (*end != '\0' || !(seconds > 0 && seconds <= 3600)) {
    fprintf(stderr, "%s: not a number of seconds above 0, at most 3600\n", argv[5]);
    exit(64);
  }
  plan.target = parse_target(argv[1], argv[2]);
  plan.hold = strcmp(argv[3], "rr") == 0;
  plan.connections = number(argv[4], 1, 10000);
  plan.duration_ns = (int64_t)(seconds * 1e9);
  fill_payload(&payload, (size_t)number(argv[6], 1, BUFFER_SIZE));
  if (argc == 9 && is_as_sent(argv[8])) memcpy(payload.reply, payload.request, payload.size);
}

int main(int argc, char** argv) {
  read_arguments(argc, argv);
  const int processes = argc >= 8 ? (int)number(argv[7], 1, MAX_PROCESSES) : 1;
  raise_descriptor_limit();
  struct result* results = mmap(NULL, MAX_PROCESSES * sizeof *results, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (results == MAP_FAILED) die("mmap");
  run_all(processes, results);
  return print_sum(processes, results) > 0;
}
