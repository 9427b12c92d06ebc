// Arguments for a child: by position, and by name. C++ names them with a struct.
#include <thread>

#include "common/mp/examples/say.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

void print(int a, int b, int c) {
  say(mp::current_process().name(), ": ", a, " ", b, " ", c);
}

struct Named {
  int b;
  int c;
};

struct Times {
  int count;
};

void execute(Times times) {
  const std::string& name = mp::current_process().name();
  say(name, " is to execute ", times.count, " times");
  for (int i = 1; i <= times.count; ++i) say(name, " executes time ", i);
  say(name, " is done");
}

void run(mp::Process process) {
  process.start();
  process.join();
}

}  // namespace

int main() {
  run(mp::Process(print, 1, 2, 3));
  run(mp::Process([](int a, Named named) { print(a, named.b, named.c); }, 4,
                  Named{.b = 5, .c = 6}));
  run(mp::Process(execute, Times{1}));
  run(mp::Process(execute, Times{.count = 3}));
  say("The document: the loop in its first program has no body (an IndentationError).");
}
