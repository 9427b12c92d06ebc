// π by a Pool of ten: map gives each slice to a worker, and the sums back in the slices' order.
//
//   pi_by_pool [TERMS]       100000000 unless given
#include <algorithm>
#include <vector>

#include "common/mp/examples/pi.h"
#include "common/mp/pool.h"

namespace mp = forkecho::mp;
using namespace forkecho::examples;

namespace {

double pi_by_pool(long terms) {
  mp::Pool pool(slices);
  std::array<Slice, slices> parts;
  for (int i = 0; i < slices; ++i) parts[i] = slice(terms, i);
  const std::vector<double> results = pool.map(sum_of, parts);
  pool.close();
  pool.join();
  std::array<double, slices> sums;
  std::copy_n(results.begin(), slices, sums.begin());
  return pi_from(sums);
}

}  // namespace

int main(int argc, char** argv) {
  compare_with_one_process("a pool of ten", pi_by_pool,
                           number_argument(argc, argv, 1, default_terms));
  say("The document: says that apply cannot give a result. apply returns it; map returns all "
      "of them.");
}
