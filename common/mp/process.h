// Process: a child process with Python's multiprocessing.Process for a model: give it a target (or
// override run), start it, join it, read its exitcode.
//
//   mp::Process child([](int n) { work(n); }, 42);
//   child.start();
//   child.join();          // child.exitcode() == 0
//
// Exit codes: 0 when the target returns, 1 when an exception leaves it (its type and text go to
// stderr), N for leave(N), -S for a death by signal S, exit_unknown (reap.h) when it was lost:
// somebody else reaped the child, or SIGCHLD is ignored and the kernel did.
//
// When a process dies: the end of a child, whatever its cause, is seen by join, is_alive, exitcode
// and sentinel at once, also while grandchildren live on. The end of the parent: a daemon child
// ends with it, however it ends; another becomes an orphan when the parent was killed, and is
// waited for when it ends in good order (leave.h), unless detached. Grandchildren are their own
// parents' affair: a daemon may have none, and those of a child that is terminated or killed go on.
//
// start, join, is_alive, exitcode, terminate, kill, sentinel and close are for the process that
// made the object; in any other they throw std::logic_error. join, is_alive, exitcode, sentinel and
// the signals may be used by several threads at once; whoever changes the object must be alone.
// After start in a program with threads, the calling thread is alone in the child.
//
// A target begins with its parent's memory and descriptors, but with none of its signal handlers
// (they are default again, ignored signals stay ignored) and with no signal blocked, unless
// keep_signals_blocked says otherwise. What stdio and std::cout have buffered is written before the
// fork; what std::cout has after sync_with_stdio(false), and any std::ofstream, is not: flush those
// before start, or both sides write it.
#pragma once

#include <concepts>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/mp/active_children.h"
#include "common/mp/child_registry.h"
#include "common/mp/current_process.h"
#include "common/mp/leave.h"
#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::mp {

struct Newborn;

/// What may be said of a child by name: Process({.name = "worker", .daemon = true}, target,
/// args...).
struct ProcessOptions {
  std::string name = {};    // empty: "Process-N", N counted by the parent from 1; below it
                            // "Process-N:M" and so on
  bool daemon = false;      // see set_daemon
  bool keep_stdin = false;  // see keep_stdin
  bool keep_signals_blocked = false;  // see keep_signals_blocked
  bool detached = false;              // see detach
};

class Process {
 public:
  /// The child will call target(args...); all are copied into the object, and the child works on
  /// its own copy of everything. Arguments by name: a struct with designated initialisers.
  template <typename Target, typename... Args>
  requires(std::invocable<std::decay_t<Target>&, std::decay_t<Args>&...>) explicit Process(
      Target target, Args... args)
      : Process(ProcessOptions{}, std::move(target), std::move(args)...) {}
  template <typename Target, typename... Args>
  requires(std::invocable<std::decay_t<Target>&, std::decay_t<Args>&...>)
      Process(ProcessOptions options, Target target, Args... args)
      : Process(
            Prepared{[target = std::move(target), args = std::tuple(std::move(args)...)]() mutable {
              std::apply(target, args);
            }},
            std::move(options)) {}
  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) noexcept = default;
  /// The child, if it runs, goes on; active_children() and the exit of its parent still know it.
  virtual ~Process() = default;

  /// "Process-N" unless set.
  const std::string& name() const { return identity_.name; }
  /// Of no effect in a child that runs; in the child itself, its own name from now on.
  void set_name(std::string name) { identity_.name = std::move(name); }
  /// A daemon child ends when its parent does, however that ends: in good order with a SIGTERM
  /// first, by a kill or a crash with SIGKILL from the kernel. It may not start processes.
  bool daemon() const { return identity_.daemon; }
  void set_daemon(bool daemon);  // std::logic_error once started
  /// The child reads /dev/null as standard input unless asked to keep the parent's.
  void keep_stdin();  // std::logic_error once started
  /// The target begins with every signal blocked and with its parent's handlers: a signal sent to
  /// the newborn child waits until it has set its own and calls mp::accept_signals.
  void keep_signals_blocked();  // std::logic_error once started
  /// The end of its parent in good order neither waits for the child nor ends it: for a child that
  /// is to outlive its parent, or that learns of the end by other means. Before or after start. As
  /// long as this object exists, the start of another does not reap it.
  void detach();
  /// The key of current_process() in the child: its parent's at the time of start unless set.
  const AuthKey& authkey() const;
  void set_authkey(AuthKey key);  // std::logic_error once started

  /// Throws std::logic_error when started twice, moved from or called by a daemon process,
  /// std::system_error (EAGAIN, ENOMEM) when the system refuses a process; then start may be tried
  /// again. What is buffered for output is written first, and children that have ended are reaped,
  /// so that those whom nobody joins do not pile up.
  void start();
  /// True once the child has ended; false when the deadline passed first.
  bool join(sys::Deadline deadline = sys::Deadline::never());
  bool is_alive();
  /// Empty before start.
  std::optional<pid_t> pid() const;
  /// Empty before start and while the child runs.
  std::optional<int> exitcode();
  void terminate() { signal(SIGTERM); }
  void kill() { signal(SIGKILL); }
  /// Sends any signal; without effect once the child has ended. Throws std::system_error (EPERM, to
  /// a child of another user; EINVAL, no signal's number).
  void signal(int number);
  /// A descriptor that polls readable at the child's death; opened on demand, owned by the object.
  /// Throws std::system_error (EMFILE).
  int sentinel();
  /// Gives up all that is held for the child; std::logic_error while it runs. Afterwards every
  /// method but name and daemon is an error.
  void close();

 protected:
  explicit Process(ProcessOptions options = {});  // for subclasses that override run
  /// What the child does. The default calls the target.
  virtual void run();

 private:
  struct Prepared {
    std::function<void()> target;
  };
  Process(Prepared prepared, ProcessOptions options);
  /// Nothing that is thrown leaves it, or the child would go on with what its parent does after
  /// start.
  [[noreturn]] void run_in_child(const Newborn& newborn, ProcessIdentity& identity) noexcept;
  ChildRecord& started() const;
  std::optional<int> known_exitcode() const;
  void check_not_started(const char* what) const;
  void check_open() const;
  void check_owner() const;
  bool runs_here() const;

  std::function<void()> target_;
  ProcessIdentity identity_;
  bool keeps_stdin_;
  bool keeps_signals_blocked_;
  bool detached_;
  bool closed_ = false;
  pid_t creator_;
  std::shared_ptr<ChildRecord> record_;
  sys::Descriptor sentinel_;
};

}  // namespace forkecho::mp
