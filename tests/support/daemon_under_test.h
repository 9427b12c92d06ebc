// DaemonUnderTest: `forkechod run` in a session of its own, listening where the kernel chose, with
// its control socket in a temporary directory. It is ready when the constructor returns, and gone
// with all below it when the object is.
//
// Used by the end-to-end and crash tests. Not safe between threads.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace forkecho::tests {

/// A mode of the daemon as tests go through them: a name for the test, and the options.
struct ModeUnderTest {
  std::string name;
  Arguments arguments;
  bool is_event() const { return name == "event"; }
  bool is_fork() const { return name.starts_with("fork"); }
  bool is_iterative() const { return name == "iterative"; }
  bool is_pool() const { return name.starts_with("pool"); }
  /// An acceptor forks a child for each connection, or ahead of it.
  bool has_acceptor() const { return is_fork() || name == "pool_single_use"; }
  /// Each client waits in the queue of one worker, whoever else is idle.
  bool has_own_queues() const { return name == "pool_reuseport"; }
  /// A client who stays may hold up others.
  bool holds_others_up() const { return is_iterative() || has_own_queues(); }
};
extern const std::vector<ModeUnderTest> all_modes;
const ModeUnderTest& mode_named(const std::string& name);
/// For googletest: a readable name of a parametrised test.
std::string name_of_mode(const testing::TestParamInfo<ModeUnderTest>& info);
void PrintTo(const ModeUnderTest& mode, std::ostream* out);

/// One of each kind that the mode can listen on; a unix socket lies in `directory`.
std::vector<std::string> addresses_for(const ModeUnderTest& mode, const TempDir& directory);

/// The numbers of `status --json`.
struct BooksSeen {
  std::uint64_t accepted = 0;
  std::uint64_t active = 0;
  std::uint64_t served = 0;
  std::uint64_t refused = 0;    // all reasons
  std::uint64_t timed_out = 0;  // all reasons
  std::uint64_t fork_failed = 0;
  std::uint64_t crashed = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t forked = 0;
  std::uint64_t reaped = 0;
  std::uint64_t idle = 0;
  std::uint64_t busy = 0;

  std::uint64_t ended() const { return served + refused + timed_out + fork_failed + crashed; }
  bool balance() const { return accepted == ended() && forked == reaped + idle + busy; }
};
BooksSeen books_in(const nlohmann::json& status);
/// The last books of a daemon that has ended, from its log; without children.
std::optional<BooksSeen> books_in_log(const std::string& log);
void PrintTo(const BooksSeen& books, std::ostream* out);

class DaemonUnderTest {
 public:
  struct Options {
    // Beside --listen and --control; without a mode or a file it is fork mode with one acceptor.
    Arguments arguments;
    std::vector<std::string> listen{"127.0.0.1:0"};
    std::string control;  // empty: in a directory of its own
    ProgramOptions program;
    std::string path = forkechod;  // of the program
  };
  /// Throws std::runtime_error with the daemon's log when it does not come up.
  explicit DaemonUnderTest(Arguments arguments = {});
  explicit DaemonUnderTest(Options options);
  explicit DaemonUnderTest(const ModeUnderTest& mode, Arguments more = {});
  ~DaemonUnderTest();

  /// The first listener, as a client's TARGET.
  const std::string& target() const { return targets_.front(); }
  const std::vector<std::string>& targets() const { return targets_; }
  const std::string& control() const { return control_; }
  pid_t pid() const { return program_.pid(); }
  void signal(int number) { program_.signal(number); }
  bool is_alive() { return program_.is_alive(); }
  /// Its exit code; empty while it runs when the deadline passes.
  std::optional<int> wait(sys::Deadline deadline = patience()) { return program_.wait(deadline); }
  /// TERM, then wait.
  std::optional<int> stop();
  std::string log() const { return program_.err(); }

  nlohmann::json status();
  BooksSeen books() { return books_in(status()); }
  /// The books once no connection is open; empty when that does not come.
  std::optional<BooksSeen> books_at_rest(sys::Deadline deadline = patience());
  /// Waits until `active` connections are open.
  bool wait_for_active(std::uint64_t active, sys::Deadline deadline = patience());

  /// Living processes that accept: acceptors or workers, children of the supervisor.
  std::vector<pid_t> accepting_processes() const;

 private:
  std::optional<nlohmann::json> try_status();
  void wait_until_ready();
  bool all_have_settled_in() const;

  TempDir directory_;
  std::string control_;
  Program program_;
  bool forks_children_;
  std::vector<std::string> targets_;
};

}  // namespace forkecho::tests
