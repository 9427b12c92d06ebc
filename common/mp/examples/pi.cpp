// π by one process, as the measure of those by ten.
//
//   pi [TERMS]       100000000 unless given
#include "common/mp/examples/pi.h"

int main(int argc, char** argv) {
  using namespace forkecho::examples;
  say_pi("one process", pi_by_one_process, number_argument(argc, argv, 1, default_terms));
  say("The document: does not say why its ten processes come to another figure. From the 48 "
      "millionth on a term is too small to change one large sum; ten small sums lose less.");
}
