// π by ten processes, each of which writes its sum into its place of a shared Array.
//
//   pi_by_shared_array [TERMS]       100000000 unless given
#include <vector>

#include "common/mp/examples/pi.h"
#include "common/mp/process.h"
#include "common/mp/shared.h"

namespace mp = forkecho::mp;
using namespace forkecho::examples;

namespace {

double pi_by_shared_array(long terms) {
  mp::Array<double> shared(slices);
  std::vector<mp::Process> workers;
  for (int i = 0; i < slices; ++i) {
    workers.emplace_back([&shared, terms, i] { shared.set(i, sum_of(slice(terms, i))); });
    workers.back().start();
  }
  for (mp::Process& worker : workers) worker.join();
  std::array<double, slices> sums;
  for (int i = 0; i < slices; ++i) sums[i] = shared.get(i);
  return pi_from(sums);
}

}  // namespace

int main(int argc, char** argv) {
  compare_with_one_process("ten processes, a shared array", pi_by_shared_array,
                           number_argument(argc, argv, 1, default_terms));
}
