// π by ten processes, each of which puts its sum, and which slice it is of, into one Queue.
//
//   pi_by_queue [TERMS]       100000000 unless given
#include <utility>
#include <vector>

#include "common/mp/examples/pi.h"
#include "common/mp/process.h"
#include "common/mp/queue.h"

namespace mp = forkecho::mp;
using namespace forkecho::examples;

namespace {

double pi_by_queue(long terms) {
  mp::Queue<std::pair<int, double>> results;
  std::vector<mp::Process> workers;
  for (int i = 0; i < slices; ++i) {
    workers.emplace_back([&results, terms, i] { results.put({i, sum_of(slice(terms, i))}); });
    workers.back().start();
  }
  std::array<double, slices> sums;
  for (int n = 0; n < slices; ++n) {
    const auto [i, sum] = results.get().value();
    sums[i] = sum;
  }
  for (mp::Process& worker : workers) worker.join();
  return pi_from(sums);
}

}  // namespace

int main(int argc, char** argv) {
  compare_with_one_process("ten processes, a queue", pi_by_queue,
                           number_argument(argc, argv, 1, default_terms));
}
