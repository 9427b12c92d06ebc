// A child that prints for ever, and what ends it: SIGKILL, SIGTERM, SIGTERM ignored and then
// SIGKILL, and SIGTERM with a handler that says good-bye. The exit code tells a signal from an
// exit.
//
//   signals [PAUSE_MS]      the child prints every so often; the document's pause is 1000
#include <csignal>
#include <thread>
#include <vector>

#include "common/mp/event.h"
#include "common/mp/examples/say.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

std::chrono::milliseconds pause_between_lines;

void print_for_ever(mp::Event& printing) {
  for (;;) {
    say("in child process");
    printing.set();
    std::this_thread::sleep_for(pause_between_lines);
  }
}

/// Async-signal-safe calls alone: the signal may have come in the middle of anything.
void say_good_bye(int) {
  constexpr char line[] = "child will die\n";
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, line, sizeof line - 1);
  _exit(0);
}

const char* name_of(int signal) {
  return signal == SIGKILL ? "SIGKILL" : "SIGTERM";
}

/// Sends `signals` one after another; the last one is expected to end the child.
void scene(const char* title, void (*prepare)(), const std::vector<int>& signals) {
  say("-- ", title);
  mp::Event printing;
  mp::Process child([&] {
    prepare();
    print_for_ever(printing);
  });
  child.set_daemon(true);
  child.start();
  for (const int signal : signals) {
    printing.clear();
    printing.wait();
    child.signal(signal);
    printing.clear();
    if (signal != signals.back()) {
      printing.wait();
      say(name_of(signal), " sent: the child goes on");
    }
  }
  child.join();
  say(name_of(signals.back()), " sent: the exit code is ", *child.exitcode());
}

}  // namespace

int main(int argc, char** argv) {
  pause_between_lines = forkecho::examples::pause_argument(argc, argv, 1, 5);
  scene("killed", [] {}, {SIGKILL});
  scene("asked to end", [] {}, {SIGTERM});
  scene("SIGTERM ignored", [] { std::signal(SIGTERM, SIG_IGN); }, {SIGTERM, SIGKILL});
  scene("SIGTERM handled", [] { std::signal(SIGTERM, say_good_bye); }, {SIGTERM});

  mp::Process leaver([] { mp::leave(15); });
  leaver.start();
  leaver.join();
  say("-- exit(15): the exit code is ", *leaver.exitcode());
  say("The document: takes 8 bits of the wait status for the signal. It is 7; the eighth says "
      "that there is a core dump.");
}
