// echo_threads HOST PORT CONNECTIONS SECONDS [SIZE]: the barest client of a closed loop: a thread
// for each connection that writes SIZE bytes (64), reads as many back, and does so again. It looks
// at no reply and at no clock: what it costs is what the kernel takes for requests and replies in
// this form.
//
// Prints one JSON line. What fails ends it with one line and status 1.
#include "ceiling.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MAX_CONNECTIONS = 1000, STACK_SIZE = 64 * 1024 };

struct talk {
  pthread_t thread;
  struct sockaddr_in target;
  long replies;
};

static struct payload payload;
static atomic_bool stopping;
static struct talk talks[MAX_CONNECTIONS];

static void* talk_until_stopped(void* argument) {
  struct talk* talk = argument;
  unsigned char reply[4096];
  const int on = 1;
  const int connection = check(connect_from(&talk->target, 0), "connect");
  check(setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
  while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
    if (write(connection, payload.request, payload.size) != (ssize_t)payload.size) die("write");
    if (recv(connection, reply, payload.size, MSG_WAITALL) != (ssize_t)payload.size) die("recv");
    ++talk->replies;
  }
  close(connection);
  return NULL;
}

static void sleep_for(double seconds) {
  struct timespec length = {.tv_sec = (time_t)seconds};
  length.tv_nsec = (long)((seconds - (double)length.tv_sec) * 1e9);
  nanosleep(&length, NULL);
}

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    fprintf(stderr, "usage: echo_threads HOST PORT CONNECTIONS SECONDS [SIZE]\n");
    return 64;
  }
  const struct sockaddr_in target = parse_target(argv[1], argv[2]);
  const long connections = number(argv[3], 1, MAX_CONNECTIONS);
  char* end = NULL;
  const double seconds = strtod(argv[4], &end);
  if (*end != '\0' || !(seconds > 0 && seconds <= 3600)) {
    fprintf(stderr, "%s: not a number of seconds above 0, at most 3600\n", argv[4]);
    return 64;
  }
  fill_payload(&payload, argc == 6 ? (size_t)number(argv[5], 1, 4096) : 64);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  for (long i = 0; i < connections; ++i) {
    talks[i].target = target;
    errno = pthread_create(&talks[i].thread, &attributes, talk_until_stopped, &talks[i]);
    if (errno != 0) die("pthread_create");
  }
  sleep_for(seconds);
  atomic_store_explicit(&stopping, true, memory_order_relaxed);
  long replies = 0;
  for (long i = 0; i < connections; ++i) {
    pthread_join(talks[i].thread, NULL);
    replies += talks[i].replies;
  }
  printf("{\"requests\":%ld}\n", replies);
  return 0;
}
