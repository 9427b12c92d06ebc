// What is left of a child that ended and was not reaped; and who becomes the parent of a child
// whose parent is killed.
//
//   zombies_and_orphans [CHILDREN]     so many come and go; 1000 unless given
#include <fstream>
#include <vector>

#include "common/mp/active_children.h"
#include "common/mp/connection.h"
#include "common/mp/event.h"
#include "common/mp/examples/say.h"
#include "common/mp/orphans.h"
#include "common/mp/process.h"
#include "common/mp/wait.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

/// The state of a process as ps shows it; '-' when there is none.
char state_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(stat, line);
  const auto name_end = line.rfind(')');
  return name_end == std::string::npos ? '-' : line[name_end + 2];
}

void show_zombie() {
  mp::Process child([] {});
  child.start();
  mp::wait({child});
  say("ended, not reaped: state ", state_of(*child.pid()), ", <defunct>");
  child.join();
  say("joined: state ", state_of(*child.pid()));
}

void show_that_pids_do_not_run_out(long children) {
  int ended = 0;
  for (long i = 0; i < children; ++i) {
    mp::Process child([] {});
    child.start();
    ended += child.join();
  }
  say(ended, " children came and went, ", mp::active_children().size(), " are left");
}

/// Starts a child with a child, and kills the one between; returns the orphan's pid.
pid_t make_orphan(const char* who) {
  auto [ours, theirs] = mp::Pipe(mp::Duplex::no);
  mp::Event parent_is_dead;
  mp::Process between([&, &theirs = theirs] {
    mp::Process orphan([&] {
      theirs.send(getpid());
      parent_is_dead.wait();
      theirs.send(getppid());
    });
    orphan.start();
    orphan.join();
  });
  between.start();
  theirs.close();
  const pid_t orphan = ours.recv<pid_t>().value();
  between.kill();
  between.join();
  parent_is_dead.set();
  say(who, ": main is ", getpid(), ", the orphan's parent was ", *between.pid(), " and is ",
      ours.recv<pid_t>().value());
  return orphan;
}

void reap(pid_t orphan) {
  const auto sentinel = mp::open_sentinel(orphan);
  mp::wait({sentinel.get()});
  for (const mp::Exit& exit : mp::reap_orphans()) say("main reaps it: exit code ", exit.exitcode);
}

}  // namespace

int main(int argc, char** argv) {
  show_zombie();
  show_that_pids_do_not_run_out(forkecho::examples::number_argument(argc, argv, 1, 1000));
  make_orphan("left to the system");
  mp::adopt_orphans();
  reap(make_orphan("adopted by main"));
  say("The document: has every orphan adopted by init. Its nearest ancestor that asked to be a "
      "sub-reaper comes first.");
}
