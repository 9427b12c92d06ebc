// What the ceiling programs share: a loopback listener, the service loop, and the client's end of
// one exchange. Only the programs in this folder include it. They are the barest C that does the
// work, so that a figure of ours can be given as a ratio to what this machine can do at all; they
// are never changed to improve a ratio. What fails beyond repair ends the program with one line and
// status 1.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 * 1024, BACKLOG = 4096, REPLY_TIMEOUT_S = 10 };

// Static, not on the stack: the parent of a fork loop never touches it, so that fork has nothing of
// it to copy, and a child pays one zero-filled page for a small request.
static unsigned char buffer[BUFFER_SIZE];

_Noreturn static inline void die(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static inline int check(int result, const char* what) {
  if (result < 0) die(what);
  return result;
}

// A whole number within [lowest, highest]; anything else ends the program.
static inline long number(const char* text, long lowest, long highest) {
  char* end = NULL;
  errno = 0;
  const long value = strtol(text, &end, 10);
  if (errno != 0 || *text == '\0' || *end != '\0' || value < lowest || value > highest) {
    fprintf(stderr, "%s: not a number from %ld to %ld\n", text, lowest, highest);
    exit(64);
  }
  return value;
}

// Nanoseconds of the monotonic clock.
static inline int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// PR_SET_PDEATHSIG does not pass through fork, so each long-lived child asks for it. The second
// look at the parent covers one that died before the request.
static inline void die_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
}

static inline void raise_descriptor_limit(void) {
  struct rlimit limit;
  check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

// ---- the servers' part ----

// A listener on 127.0.0.1 at a port of the kernel's choice, which is printed on standard output.
// TCP_NODELAY is set here, once: on Linux what accept returns inherits it.
static inline int listen_on_loopback(void) {
  const int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  const int listener = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
  check(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  check(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
  check(bind(listener, (struct sockaddr*)&address, sizeof address), "bind");
  check(listen(listener, BACKLOG), "listen");
  check(getsockname(listener, (struct sockaddr*)&address, &size), "getsockname");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);  // before any fork: a child must not print it again
  return listener;
}

static inline unsigned char uppercase_byte(unsigned char byte) {
  return (unsigned char)(byte - (((unsigned char)(byte - 'a') < 26) << 5));
}

// ASCII only. The inner loop's fixed length lets -O2 turn it into vector instructions.
static inline void uppercase(unsigned char* text, size_t size) {
  size_t at = 0;
  for (; at + 64 <= size; at += 64) {
    for (size_t i = 0; i < 64; ++i) text[at + i] = uppercase_byte(text[at + i]);
  }
  for (; at < size; ++at) text[at] = uppercase_byte(text[at]);
}

static inline bool write_whole(int connection, const unsigned char* text, size_t size) {
  while (size > 0) {
    const ssize_t written = write(connection, text, size);
    if (written < 0) return false;
    text += written;
    size -= (size_t)written;
  }
  return true;
}

// One connection until its client ends it. Errors end it too: a ceiling keeps no books.
static inline void serve(int connection) {
  for (;;) {
    const ssize_t size = read(connection, buffer, sizeof buffer);
    if (size <= 0) return;
    uppercase(buffer, (size_t)size);
    if (!write_whole(connection, buffer, (size_t)size)) return;
  }
}

// ---- the clients' part ----

// A request of lower-case letters, capitals and digits in turn, and the reply that is due.
struct payload {
  size_t size;
  unsigned char request[BUFFER_SIZE];
  unsigned char reply[BUFFER_SIZE];
};

static inline void fill_payload(struct payload* payload, size_t size) {
  static const char pattern[] = "the quick Brown fox jumps Over 13 lazy dogs ";
  payload->size = size;
  for (size_t i = 0; i < size; ++i) {
    const unsigned char byte = (unsigned char)pattern[i % (sizeof pattern - 1)];
    payload->request[i] = byte;
    payload->reply[i] = byte >= 'a' && byte <= 'z' ? (unsigned char)(byte - 32) : byte;
  }
}

static inline struct sockaddr_in parse_target(const char* host, const char* port) {
  struct sockaddr_in target = {.sin_family = AF_INET};
  target.sin_port = htons((uint16_t)number(port, 1, 65535));
  if (inet_pton(AF_INET, host, &target.sin_addr) != 1) {
    fprintf(stderr, "%s: not an IPv4 address\n", host);
    exit(64);
  }
  return target;
}

static inline bool is_loopback(const struct sockaddr_in* address) {
  return ntohl(address->sin_addr.s_addr) >> 24 == 127;
}

// The source address number `index` of 127.1.0.0 and above. A closed connection keeps its port for
// a minute (TIME_WAIT, on the side that closed first: ours); each source address has ports of its
// own.
static inline struct sockaddr_in loopback_source(uint32_t index) {
  const uint32_t address = (127u << 24) + (1u << 16) + (index % (200u << 16));
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
}

// IP_BIND_ADDRESS_NO_PORT leaves the port to connect, which then needs only the whole four of
// addresses and ports to be unique, not the source alone.
static inline void bind_source(int connection, uint32_t index) {
  const int on = 1;
  const struct sockaddr_in source = loopback_source(index);
  check(setsockopt(connection, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on), "bind source");
  check(bind(connection, (const struct sockaddr*)&source, sizeof source), "bind source");
}

// A connected blocking socket, or -1 with errno. On loopback connect does not wait unless the
// server's backlog is full.
static inline int connect_from(const struct sockaddr_in* target, uint32_t source) {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connection < 0) return -1;
  if (is_loopback(target)) bind_source(connection, source);
  if (connect(connection, (const struct sockaddr*)target, sizeof *target) == 0) return connection;
  const int error = errno;
  close(connection);
  errno = error;
  return -1;
}

static inline bool send_request(int connection, const struct payload* payload) {
  size_t sent = 0;
  while (sent < payload->size) {
    const ssize_t size =
        send(connection, payload->request + sent, payload->size - sent, MSG_NOSIGNAL);
    if (size < 0) return false;
    sent += (size_t)size;
  }
  return true;
}

// Waits for the whole reply, at most REPLY_TIMEOUT_S; true if it is what is due.
static inline bool receive_reply(int connection, const struct payload* payload) {
  const struct timeval limit = {.tv_sec = REPLY_TIMEOUT_S};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const ssize_t size = recv(connection, buffer, payload->size, MSG_WAITALL);
  return size == (ssize_t)payload->size && memcmp(buffer, payload->reply, payload->size) == 0;
}
