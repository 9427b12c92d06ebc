// pi_by_forks TERMS: pi from 1/1^2 + 1/3^2 + ... = pi^2/8, the terms cut into ten slices, each
// summed by a forked child and sent through a pipe: the ceiling of the same by ten processes.
//
// Prints one JSON line: nanoseconds in all, and the result with every digit.
#include <math.h>
#include <sys/wait.h>

#include "ceiling.h"

enum { SLICES = 10 };

static double sum_of(long begin, long end) {
  double sum = 0;
  for (long k = begin; k < end; ++k) {
    const double odd = (double)(2 * k + 1);
    sum += 1.0 / odd / odd;
  }
  return sum;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: pi_by_forks TERMS\n");
    return 64;
  }
  const long slice = number(argv[1], SLICES, 10000000000) / SLICES;
  int results[SLICES];
  const int64_t start = now_ns();
  for (int i = 0; i < SLICES; ++i) {
    int ends[2];
    check(pipe(ends), "pipe");
    if (check(_Fork(), "fork") == 0) {
      const double sum = sum_of(i * slice, (i + 1) * slice);
      _exit(write(ends[1], &sum, sizeof sum) == sizeof sum ? 0 : 1);
    }
    close(ends[1]);
    results[i] = ends[0];
  }
  double all = 0;
  for (int i = 0; i < SLICES; ++i) {
    double sum;
    if (read(results[i], &sum, sizeof sum) != sizeof sum) die("read");
    all += sum;
    check(waitpid(-1, NULL, 0), "waitpid");
  }
  printf("{\"ns_each\":%lld,\"pi\":\"%.17g\"}\n", (long long)(now_ns() - start), sqrt(8 * all));
  return 0;
}
