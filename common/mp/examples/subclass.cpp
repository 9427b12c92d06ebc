// A process by a function, and one by a class of its own with its own run(). start returns at once;
// who wants the parent to speak last joins first.
#include <string>

#include "common/mp/event.h"
#include "common/mp/examples/say.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

class Task final : public mp::Process {
 public:
  Task(const std::string& name, mp::Event& may_begin) : may_begin_(may_begin) { set_name(name); }

 protected:
  void run() override {
    may_begin_.wait();
    say(name(), ": the task begins");
    say(name(), ": the task ends");
  }

 private:
  mp::Event& may_begin_;
};

}  // namespace

int main() {
  mp::Process function([] { say("function: the task begins and ends"); });
  function.start();
  function.join();
  say("main process, after join");

  mp::Event main_has_spoken;
  Task task("coding", main_has_spoken);
  task.start();
  say("main process, after start");
  main_has_spoken.set();
  task.join();
  say("The document: its run() sleeps for an undefined num; and that main speaks first after "
      "start is likely there, but certain only with an event, as here.");
}
