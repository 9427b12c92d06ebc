// mp_speed WHAT COUNT: times one operation of common/mp. tests/bench/mp.py runs it beside the
// ceilings and CPython.
//
// Prints one JSON line: nanoseconds for each operation.
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/mp/connection.h"
#include "common/mp/lock.h"
#include "common/mp/pool.h"
#include "common/mp/process.h"
#include "common/mp/queue.h"
#include "common/mp/shared.h"

namespace forkecho::mp {
namespace {

using sys::Clock;
using sys::Duration;

double nanoseconds(Duration spent) {
  return std::chrono::duration<double, std::nano>(spent).count();
}

template <typename Work>
Duration time_of(Work work) {
  const auto begin = Clock::now();
  work();
  return Clock::now() - begin;
}

Duration start_and_join(long count) {
  return time_of([&] {
    for (long i = 0; i < count; ++i) {
      Process child([] {});
      child.start();
      child.join();
    }
  });
}

Duration acquire_and_release(long count) {
  Lock lock;
  return time_of([&] {
    for (long i = 0; i < count; ++i) {
      lock.acquire();
      lock.release();
    }
  });
}

Duration increment_value(long count) {
  Value<long> value(0);
  return time_of([&] {
    for (long i = 0; i < count; ++i) value.update([](long& number) { ++number; });
  });
}

Duration pass_through_queue(long count) {
  Queue<long> queue;
  Process producer([&] {
    for (long i = 0; i < count; ++i) queue.put(i);
  });
  const Duration spent = time_of([&] {
    producer.start();
    for (long i = 0; i < count; ++i) queue.get();
  });
  producer.join();
  return spent;
}

long increment(long number) {
  return number + 1;
}

Duration apply_in_pool(long count) {
  Pool pool(2);
  pool.apply(increment, 0L);
  return time_of([&] {
    for (long i = 0; i < count; ++i) pool.apply(increment, i);
  });
}

Duration start_pools(long count) {
  Duration spent{};
  for (long i = 0; i < count; ++i) {
    std::optional<Pool> pool;
    spent += time_of([&] { pool.emplace(8); });
    pool->terminate();
    pool->join();
  }
  return spent;
}

double sum_of(long begin, long end) {
  double sum = 0;
  for (long k = begin; k < end; ++k) {
    const auto odd = static_cast<double>(2 * k + 1);
    sum += 1.0 / odd / odd;
  }
  return sum;
}

double pi_by_processes(long terms) {
  constexpr long slices = 10;
  std::vector<Process> children;
  std::vector<Connection> results;
  for (long i = 0; i < slices; ++i) {
    Pipe pipe(Duplex::no);
    Process& child = children.emplace_back([&pipe, i, slice = terms / slices] {
      pipe.second.send(sum_of(i * slice, (i + 1) * slice));
    });
    child.start();
    results.push_back(std::move(pipe.first));
  }
  double sum = 0;
  for (Connection& result : results) sum += result.recv<double>().value();
  for (Process& child : children) child.join();
  return std::sqrt(8 * sum);
}

int report_pi(long terms) {
  double pi = 0;
  const Duration spent = time_of([&] { pi = pi_by_processes(terms); });
  std::printf("{\"ns_each\":%.0f,\"pi\":\"%.17g\"}\n", nanoseconds(spent), pi);
  return 0;
}

int run(const std::string& what, long count) {
  if (what == "pi") return report_pi(count);
  static const std::map<std::string, std::function<Duration(long)>> work = {
      {"process", start_and_join},   {"lock", acquire_and_release}, {"value", increment_value},
      {"queue", pass_through_queue}, {"apply", apply_in_pool},      {"pool", start_pools}};
  const auto found = work.find(what);
  if (found == work.end()) {
    std::fprintf(stderr, "mp_speed: no '%s' here\n", what.c_str());
    return 64;
  }
  std::printf("{\"ns_each\":%.2f}\n",
              nanoseconds(found->second(count)) / static_cast<double>(count));
  return 0;
}

}  // namespace
}  // namespace forkecho::mp

int main(int argc, char** argv) {
  if (argc != 3 || std::atol(argv[2]) <= 0) {
    std::fprintf(stderr, "usage: mp_speed process|lock|value|queue|apply|pool|pi COUNT\n");
    return 64;
  }
  return forkecho::mp::run(argv[1], std::atol(argv[2]));
}
