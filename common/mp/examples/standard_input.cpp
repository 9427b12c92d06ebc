// A child's standard input is /dev/null, so that it cannot take what was typed for its parent;
// unless it is given its parent's.
//
//   echo hello | standard_input
#include <iostream>
#include <string>

#include "common/mp/examples/say.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

void read_a_line() {
  std::string line;
  if (std::getline(std::cin, line)) {
    say(mp::current_process().name(), " reads '", line, "'");
  } else {
    say(mp::current_process().name(), " is at end of file");
  }
}

}  // namespace

int main() {
  mp::Process child(read_a_line);
  child.start();
  child.join();

  mp::Process child_with_input(read_a_line);
  child_with_input.keep_stdin();
  child_with_input.start();
  child_with_input.join();
  say("The document: says that a child cannot read input at all. It can, if it is allowed to.");
}
