#include "common/mp/process.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>

#include "common/mp/fork.h"
#include "common/mp/reap.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp {
namespace {

struct Current {
  std::string name = "MainProcess";
  bool daemon = false;
  unsigned children_named = 0;
};

Current& current() {
  static Current state;
  return state;
}

/// Polls readable for ever: what stands for the sentinel of a child that was reaped before.
sys::Descriptor open_readable() {
  return sys::Descriptor(sys::check_syscall(eventfd(1, EFD_CLOEXEC), "eventfd"));
}

void read_nothing_from_stdin() {
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) return;  // no /dev in this root: standard input stays as it is
  dup2(null, STDIN_FILENO);
  if (null != STDIN_FILENO) ::close(null);
}

}  // namespace

Process::Process(std::function<void()> target, Prepared)
    : target_(std::move(target)),
      name_("Process-" + std::to_string(++current().children_named)),
      creator_(getpid()) {}

Process::Process() : Process([] {}, Prepared{}) {}

void Process::run() {
  target_();
}

void Process::check_owner() const {
  if (closed_) throw std::logic_error("process '" + name_ + "' is closed");
  if (creator_ != getpid())
    throw std::logic_error("process '" + name_ + "' belongs to another process");
}

ChildRecord& Process::started() {
  check_owner();
  if (!record_) throw std::logic_error("process '" + name_ + "' was not started");
  return *record_;
}

void Process::set_daemon(bool daemon) {
  if (record_) throw std::logic_error("process '" + name_ + "' has started: daemon is set before");
  daemon_ = daemon;
}

void Process::start() {
  check_owner();
  if (record_) throw std::logic_error("process '" + name_ + "' was started before");
  if (current().daemon) throw std::logic_error("a daemon process may not have children");
  std::fflush(nullptr);  // or the child would print what the parent has buffered, once more
  auto record = std::make_shared<ChildRecord>();
  const pid_t parent = getpid();
  const pid_t pid = sys::check_syscall(fork_process(), "fork");
  if (pid == 0) run_in_child(parent);
  record->pid = pid;
  ChildRegistry::add(record);
  record_ = std::move(record);
}

void Process::run_in_child(pid_t parent) {
  if (!keeps_signals_blocked_) {
    reset_signal_handlers();
    accept_signals();
  }
  if (daemon_) die_with_parent(parent);
  if (!keeps_stdin_) read_nothing_from_stdin();
  current() = {.name = name_, .daemon = daemon_, .children_named = 0};
  creator_ = 0;  // nobody in the child may join itself
  int code = 0;
  try {
    run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name_.c_str(), error.what());
    code = 1;
  } catch (...) {
    std::fprintf(stderr, "%s: an exception of unknown type\n", name_.c_str());
    code = 1;
  }
  leave(code);
}

bool Process::join(sys::Deadline deadline) {
  ChildRecord& record = started();
  if (!record.exitcode) reap_before(record.pid, deadline);
  return record.exitcode.has_value();
}

bool Process::is_alive() {
  check_owner();
  return record_ && !exitcode();
}

std::optional<pid_t> Process::pid() const {
  return record_ ? std::optional(record_->pid) : std::nullopt;
}

std::optional<int> Process::exitcode() {
  check_owner();
  if (!record_) return std::nullopt;
  if (!record_->exitcode) reap_one(record_->pid);
  return record_->exitcode;
}

void Process::signal(int number) {
  ChildRecord& record = started();
  // A child's pid is not given to another before it is reaped, so this cannot hit a stranger.
  if (!record.exitcode) ::kill(record.pid, number);
}

int Process::sentinel() {
  const ChildRecord& record = started();
  if (!sentinel_) sentinel_ = record.exitcode ? open_readable() : open_sentinel(record.pid);
  return sentinel_.get();
}

void Process::close() {
  if (is_alive())
    throw std::logic_error("process '" + name_ + "' runs still: join it before close");
  record_.reset();
  sentinel_.reset();
  closed_ = true;
}

void leave(int code) {
  // Unlike a successful run, output that cannot be written is a failure that someone should see.
  if (std::fflush(nullptr) != 0 && code == 0) code = 1;
  ::_exit(code);
}

const std::string& current_process_name() {
  return current().name;
}

std::vector<pid_t> active_children() {
  std::vector<pid_t> alive;
  for (const auto& record : ChildRegistry::unreaped()) {
    reap_one(record->pid);
    if (!record->exitcode) alive.push_back(record->pid);
  }
  return alive;
}

}  // namespace forkecho::mp
