// Process: a child process with Python's multiprocessing.Process for a model: give it a target (or
// override run), start it, join it, read its exitcode.
//
//   mp::Process child([](int n) { work(n); }, 42);
//   child.start();
//   child.join();          // child.exitcode() == 0
//
// start, join, is_alive, exitcode, terminate, kill and close are for the process that made the
// object; in any other they throw std::logic_error. Not safe between threads.
// Exit codes: 0 when the target returns, 1 when an exception leaves it (its text goes to stderr),
// N for leave(N), -S for a death by signal S, exit_unknown (reap.h) when it was lost.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/mp/child_registry.h"
#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::mp {

class Process {
 public:
  /// The child will call target(args...); all are copied into the object, and the child works on
  /// its own copy of everything.
  template <typename Target, typename... Args>
  requires(std::invocable<std::decay_t<Target>&, std::decay_t<Args>&...>) explicit Process(
      Target target, Args... args)
      : Process([target = std::move(target),
                 args = std::tuple(std::move(args)...)]() mutable { std::apply(target, args); },
                Prepared{}) {}
  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) noexcept = default;
  virtual ~Process() = default;  // the child, if it runs, goes on; active_children() still knows it

  /// "Process-N" unless set.
  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  /// A daemon child is killed when its parent ends, however it ends, and may not start processes.
  bool daemon() const { return daemon_; }
  void set_daemon(bool daemon);  // std::logic_error once started
  /// The child reads /dev/null as standard input unless asked to keep the parent's.
  void keep_stdin() { keeps_stdin_ = true; }
  /// The target begins with every signal blocked and with its parent's handlers: a signal sent to
  /// the newborn child waits until it has set its own and calls mp::accept_signals.
  void keep_signals_blocked() { keeps_signals_blocked_ = true; }

  /// Throws std::logic_error when started twice or called by a daemon process, std::system_error
  /// (EAGAIN, ENOMEM) when the system refuses a process.
  void start();
  /// True once the child has ended; false when the deadline passed first.
  bool join(sys::Deadline deadline = sys::Deadline::never());
  bool is_alive();
  /// Empty before start.
  std::optional<pid_t> pid() const;
  /// Empty before start and while the child runs.
  std::optional<int> exitcode();
  void terminate() { signal(15); }  // SIGTERM
  void kill() { signal(9); }        // SIGKILL
  /// Sends any signal; without effect once the child has ended.
  void signal(int number);
  /// A descriptor that polls readable at the child's death; opened on demand, owned by the object.
  int sentinel();
  /// Gives up all that is held for the child; std::logic_error while it runs. Afterwards every
  /// method but name and daemon is an error.
  void close();

 protected:
  Process();  // for subclasses that override run
  /// What the child does. The default calls the target.
  virtual void run();

 private:
  struct Prepared {};
  Process(std::function<void()> target, Prepared);
  [[noreturn]] void run_in_child(pid_t parent);
  ChildRecord& started();
  void check_owner() const;

  std::function<void()> target_;
  std::string name_;
  bool daemon_ = false;
  bool keeps_stdin_ = false;
  bool keeps_signals_blocked_ = false;
  bool closed_ = false;
  pid_t creator_;
  std::shared_ptr<ChildRecord> record_;
  sys::Descriptor sentinel_;
};

/// Ends the calling child process with exit code `code` (0..255): buffered output is flushed,
/// static destructors and the parent's exit handlers do not run.
[[noreturn]] void leave(int code);

/// The name of the calling process: "MainProcess", or its Process's name.
const std::string& current_process_name();

/// Pids of the children that were started as Process and have not ended; reaps those that have.
std::vector<pid_t> active_children();

}  // namespace forkecho::mp
