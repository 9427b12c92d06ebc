// The first program of common/mp/README.md, with a check of its result.
#include <forkecho/mp.h>

#include <cstdio>

namespace mp = forkecho::mp;

int main() {
  mp::Value<int> total(0);
  auto [ours, theirs] = mp::Pipe();
  mp::Process child(
      [&](int number) {
        total.update([&](int& sum) { sum += number; });
        theirs.send(std::string("done"));
      },
      42);
  child.start();
  const auto word = ours.recv<std::string>();
  child.join();
  std::printf("%s %d %d\n", word.value_or("nothing").c_str(), total.get(), *child.exitcode());
}
