// π by ten processes, each of which sends its sum through a pipe of its own.
//
//   pi_by_pipes [TERMS]       100000000 unless given
#include <vector>

#include "common/mp/connection.h"
#include "common/mp/examples/pi.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using namespace forkecho::examples;

namespace {

double pi_by_pipes(long terms) {
  std::vector<mp::Connection> results;
  std::vector<mp::Process> workers;
  for (int i = 0; i < slices; ++i) {
    mp::Pipe pipe(mp::Duplex::no);
    workers.emplace_back([&pipe, terms, i] {
      pipe.first.close();
      pipe.second.send(sum_of(slice(terms, i)));
    });
    workers.back().start();
    pipe.second.close();  // while main holds this end, a worker's death would not be seen
    results.push_back(std::move(pipe.first));
  }
  std::array<double, slices> sums;
  for (int i = 0; i < slices; ++i) sums[i] = results[i].recv<double>().value();
  for (mp::Process& worker : workers) worker.join();
  return pi_from(sums);
}

}  // namespace

int main(int argc, char** argv) {
  compare_with_one_process("ten processes, pipes", pi_by_pipes,
                           number_argument(argc, argv, 1, default_terms));
  say("The document: computes its slices' bounds in floating point. That is right for its "
      "number of terms and loses one for others: 3, for example.");
}
