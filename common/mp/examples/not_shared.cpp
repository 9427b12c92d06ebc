// A global variable is copied into each child; what is to be shared is a Value.
#include "common/mp/examples/say.h"
#include "common/mp/process.h"
#include "common/mp/shared.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

int number = 100;
int age = 18;

template <typename Target>
void in_a_child(Target target) {
  mp::Process child(target);
  child.start();
  child.join();
}

}  // namespace

int main() {
  in_a_child([] { say("the child that adds: ", ++number); });
  in_a_child([] { say("the other child: ", number); });
  say("main: ", number);

  in_a_child([] { age = 3; });
  say("main, after a child made it 3: ", age);

  mp::Value<int> shared(100);
  in_a_child([&] { shared.update([](int& value) { ++value; }); });
  say("main, after a child added to a Value: ", shared.get());
  say("The document: explains a num1, a work1 and a work2, none of which its program has.");
}
