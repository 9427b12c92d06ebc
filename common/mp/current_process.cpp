#include "common/mp/current_process.h"

#include <poll.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/mp/reap.h"
#include "common/sys/check_syscall.h"
#include "common/sys/raw_syscall.h"

namespace forkecho::mp {
namespace {

// Before main, so that even a bare fork made there inherits the key.
[[maybe_unused]] const CurrentProcess& made_at_start = current_process();

}  // namespace

AuthKey random_authkey() {
  AuthKey key(32);
  // Up to 256 bytes come whole once the kernel's pool is ready (getrandom(2)).
  sys::check_syscall(sys::retry_on_interrupt([&] { return getrandom(key.data(), key.size(), 0); }),
                     "getrandom");
  return key;
}

bool ParentProcess::is_alive() const {
  return getppid() == pid_;
}

int ParentProcess::sentinel() {
  if (sentinel_) return sentinel_.get();
  sentinel_ = open_sentinel_or_ended(pid_);
  // Had it ended before the descriptor was opened, the number might be another's by now.
  if (!is_alive()) sentinel_ = open_ended_sentinel();
  return sentinel_.get();
}

bool ParentProcess::join(sys::Deadline deadline) {
  while (is_alive()) {
    pollfd entry{.fd = sentinel(), .events = POLLIN, .revents = 0};
    if (poll(&entry, 1, deadline.poll_timeout_ms()) == -1 && errno != EINTR)
      sys::throw_errno(errno, "poll");
    if (deadline.passed()) return !is_alive();
  }
  return true;
}

CurrentProcess::CurrentProcess() : authkey_(random_authkey()) {}

pid_t CurrentProcess::pid() const {
  return getpid();
}

std::string CurrentProcess::number_next_child() {
  const std::string count = std::to_string(++children_numbered_);
  return identity_->number.empty() ? count : identity_->number + ":" + count;
}

[[gnu::hot]] void CurrentProcess::become(ProcessIdentity& identity, pid_t parent) {
  parents_identity_ = std::exchange(identity_, &identity);
  parent_ = parent;
  pid_at_start_ = static_cast<pid_t>(sys::raw_syscall(SYS_getpid));
  children_numbered_ = 0;
  if (parent_process_) parent_process_.reset();
  if (identity.authkey) authkey_ = *identity.authkey;
}

bool CurrentProcess::was_started_here() const {
  return parents_identity_ != nullptr && pid_at_start_ == getpid();
}

bool CurrentProcess::is_child(pid_t parent, const std::string& number) const {
  return parent_ == parent && identity_->number == number && was_started_here();
}

[[gnu::hot]] CurrentProcess& current_process() {
  static CurrentProcess current;
  return current;
}

ParentProcess* parent_process() {
  CurrentProcess& current = current_process();
  if (!current.was_started_here()) return nullptr;
  if (!current.parent_process_)
    current.parent_process_.emplace(current.parent_, current.parents_identity_->name);
  return &*current.parent_process_;
}

}  // namespace forkecho::mp
