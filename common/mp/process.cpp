#include "common/mp/process.h"

#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <typeinfo>

#include "common/mp/fork.h"
#include "common/mp/newborn.h"
#include "common/mp/output.h"
#include "common/mp/reap.h"
#include "common/mp/step.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp {
namespace {

bool is_first_thread() {
  return gettid() == getpid();
}

/// The registry's share of a record, and that of who looks.
constexpr long shares_without_owner = 2;

/// All but those that are detached and whose Process exists: their owner may learn of their end by
/// other means (peek_ended), which a reaper elsewhere would take from it.
std::vector<std::shared_ptr<ChildRecord>> children_for_start_to_reap() {
  const RegistryGuard guard;
  auto chosen = ChildRegistry::unreaped();
  std::erase_if(chosen,
                [](const auto& r) { return r->detached && r.use_count() > shares_without_owner; });
  return chosen;
}

/// Children that nobody joins do not pile up as zombies. Of a process without children nothing is
/// asked, and of one whose children all run a single call.
[[gnu::hot]] void reap_ended_children() {
  if (!ChildRegistry::any() || !peek_ended()) return;
  for (const auto& record : children_for_start_to_reap()) reap_one(record->pid);
}

/// Forks; in the parent the child is registered before anybody can reap it.
/// The lifeline, if it wants one, is made under the same guard: a child that another thread forks
/// meanwhile would keep the end of it that nobody has registered yet.
[[gnu::hot]] pid_t fork_registered(const std::shared_ptr<ChildRecord>& record,
                                   ForkHandlers handlers, bool wants_lifeline,
                                   std::optional<Lifeline>& lifeline) {
  const RegistryGuard guard;
  if (wants_lifeline) lifeline.emplace();
  ChildRegistry::add(record);
  const pid_t pid = fork_guarded(handlers);
  if (pid > 0) {
    record->pid = pid;
    if (lifeline) record->lifeline = lifeline->hold();
  } else if (pid < 0) {
    const int error = errno;
    ChildRegistry::drop_latest();
    sys::throw_errno(error, "fork");
  }
  return pid;
}

}  // namespace

Process::Process(Prepared prepared, ProcessOptions options)
    : target_(std::move(prepared.target)),
      identity_{.name = std::move(options.name),
                .number = current_process().number_next_child(),
                .daemon = options.daemon},
      keeps_stdin_(options.keep_stdin),
      keeps_signals_blocked_(options.keep_signals_blocked),
      detached_(options.detached),
      creator_(getpid()) {
  if (identity_.name.empty()) identity_.name = "Process-" + identity_.number;
}

Process::Process(ProcessOptions options) : Process(Prepared{[] {}}, std::move(options)) {}

void Process::run() {
  target_();
}

void Process::check_open() const {
  if (closed_) throw std::logic_error("process '" + identity_.name + "' is closed");
}

void Process::check_owner() const {
  check_open();
  if (creator_ != getpid())
    throw std::logic_error("process '" + identity_.name + "' belongs to another process");
}

ChildRecord& Process::started() const {
  check_owner();
  if (!record_) throw std::logic_error("process '" + identity_.name + "' was not started");
  return *record_;
}

bool Process::runs_here() const {
  return current_process().is_child(creator_, identity_.number);
}

void Process::check_not_started(const char* what) const {
  if (record_)
    throw std::logic_error("process '" + identity_.name + "' has started: " + what +
                           " is set before");
}

void Process::set_daemon(bool daemon) {
  check_not_started("daemon");
  identity_.daemon = daemon;
}

void Process::keep_stdin() {
  check_not_started("keep_stdin");
  keeps_stdin_ = true;
}

void Process::keep_signals_blocked() {
  check_not_started("keep_signals_blocked");
  keeps_signals_blocked_ = true;
}

void Process::set_authkey(AuthKey key) {
  check_not_started("authkey");
  identity_.authkey = std::move(key);
}

void Process::detach() {
  check_owner();
  detached_ = true;
  const RegistryGuard guard;
  if (record_) record_->detached = true;
}

const AuthKey& Process::authkey() const {
  return identity_.authkey ? *identity_.authkey : current_process().authkey();
}

[[gnu::hot]] void Process::start() {
  check_owner();
  if (record_) throw std::logic_error("process '" + identity_.name + "' was started before");
  if (!target_) throw std::logic_error("a process that was moved from cannot be started");
  if (current_process().daemon()) throw std::logic_error("a daemon process may not have children");
  finish_children_at_exit();
  reap_ended_children();
  // Or the child would write what the parent has buffered, once more.
  const bool output_written = flush_output();
  FORKECHO_MP_STEP("process.start.flushed");
  // Asked here, so that the child need not load the page of the virtual tables.
  const bool runs_target = typeid(*this) == typeid(Process);
  auto record =
      std::make_shared<ChildRecord>(ChildRecord{.identity = identity_, .detached = detached_});
  std::optional<Lifeline> lifeline;
  const pid_t pid =
      fork_registered(record, keeps_signals_blocked_ ? ForkHandlers::keep : ForkHandlers::reset,
                      identity_.daemon && !is_first_thread(), lifeline);
  if (pid == 0) {
    run_in_child({.parent = creator_,
                  .daemon = identity_.daemon,
                  .keeps_stdin = keeps_stdin_,
                  .keeps_signals_blocked = keeps_signals_blocked_,
                  .inherits_output = !output_written,
                  .runs_target = runs_target,
                  .lifeline = lifeline ? &*lifeline : nullptr},
                 record->identity);
  }
  FORKECHO_MP_STEP("process.start.forked");
  record_ = std::move(record);
}

[[gnu::hot]] void Process::run_in_child(const Newborn& newborn,
                                        ProcessIdentity& identity) noexcept {
  int code = 0;
  try {
    current_process().become(identity, newborn.parent);
    prepare_newborn(newborn);
    if (newborn.runs_target) {
      target_();
    } else {
      run();
    }
  } catch (...) {
    tell_current_exception();
    code = 1;
  }
  leave(code);
}

[[gnu::hot]] bool Process::join(sys::Deadline deadline) {
  const ChildRecord& record = started();
  if (!known_exitcode()) reap_before(record.pid, deadline);
  return known_exitcode().has_value();
}

bool Process::is_alive() {
  check_open();
  if (runs_here()) return true;
  check_owner();
  return record_ && !exitcode();
}

std::optional<pid_t> Process::pid() const {
  check_open();
  if (runs_here()) return getpid();
  return record_ ? std::optional(record_->pid) : std::nullopt;
}

std::optional<int> Process::exitcode() {
  check_owner();
  if (!record_) return std::nullopt;
  if (!known_exitcode()) reap_one(record_->pid);
  return known_exitcode();
}

std::optional<int> Process::known_exitcode() const {
  const RegistryGuard guard;
  return record_->exitcode;
}

void Process::signal(int number) {
  const ChildRecord& record = started();
  // A child's pid is not given to another before it is reaped; who may have reaped it unseen is the
  // kernel, so look once more.
  if (!known_exitcode()) reap_one(record.pid);
  const int error = signal_child(record, number);
  if (error != 0 && error != ESRCH)
    sys::throw_errno(error, "signal to process '" + identity_.name + "'");
}

int Process::sentinel() {
  const ChildRecord& record = started();
  const RegistryGuard guard;
  if (!sentinel_)
    sentinel_ = record.exitcode ? open_ended_sentinel() : open_sentinel_or_ended(record.pid);
  return sentinel_.get();
}

void Process::close() {
  if (is_alive())
    throw std::logic_error("process '" + identity_.name + "' runs still: join it before close");
  record_.reset();
  sentinel_.reset();
  closed_ = true;
}

}  // namespace forkecho::mp
