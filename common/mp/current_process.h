// The calling process and its parent, as Process (process.h) named them: current_process() and
// parent_process().
//
// A process that was made by a bare fork, and not as a Process, has the name and the key of the one
// that it was forked from, and its own pid. Not safe between threads while a set_ runs.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/mp/codec.h"
#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::mp {

/// The secret by which processes of one family know each other (Manager asks for it).
using AuthKey = Bytes;

/// 32 bytes of the kernel's random numbers.
AuthKey random_authkey();

/// Who a process is.
struct ProcessIdentity {
  std::string name = {};
  std::string number = {};  // "3"; "1:3" below it; empty in the main process
  bool daemon = false;
  std::optional<AuthKey> authkey = {};  // empty: its parent's
};

/// The parent of a process that was started as a Process.
class ParentProcess {
 public:
  ParentProcess(pid_t pid, std::string name) : pid_(pid), name_(std::move(name)) {}
  pid_t pid() const { return pid_; }
  const std::string& name() const { return name_; }
  bool is_alive() const;
  /// A descriptor that polls readable when the parent has ended; opened on demand, owned by this.
  /// Throws std::system_error (EMFILE).
  int sentinel();
  /// True once the parent has ended; false when the deadline passed first.
  bool join(sys::Deadline deadline = sys::Deadline::never());

 private:
  pid_t pid_;
  std::string name_;
  sys::Descriptor sentinel_;
};

class CurrentProcess {
 public:
  /// "MainProcess", or the name of the Process that was started; may be changed.
  const std::string& name() const { return identity_->name; }
  void set_name(std::string name) { identity_->name = std::move(name); }
  pid_t pid() const;
  bool daemon() const { return identity_->daemon; }
  /// 32 random bytes, drawn when the main process began; children inherit it when they start.
  const AuthKey& authkey() const { return authkey_; }
  void set_authkey(AuthKey key) { authkey_ = std::move(key); }

  // For Process.
  /// The number of the next child.
  std::string number_next_child();
  /// In a child that was just forked from process `parent`; `identity` lives as long as the child.
  /// Writes a few words of this object alone: every page that a child touches costs it a fault.
  void become(ProcessIdentity& identity, pid_t parent);
  /// Whether the calling process was started by `parent` as the child of that number.
  bool is_child(pid_t parent, const std::string& number) const;

 private:
  CurrentProcess();
  friend ParentProcess* parent_process();
  bool was_started_here() const;

  ProcessIdentity main_{.name = "MainProcess"};
  ProcessIdentity* identity_ = &main_;
  const ProcessIdentity* parents_identity_ = nullptr;
  pid_t parent_ = 0;
  pid_t pid_at_start_ = 0;  // a bare fork made later is not what its identity says
  unsigned children_numbered_ = 0;
  AuthKey authkey_;
  std::optional<ParentProcess> parent_process_;  // made on demand

  friend CurrentProcess& current_process();
};

CurrentProcess& current_process();

/// nullptr in the main process, and in one made by a bare fork.
ParentProcess* parent_process();

}  // namespace forkecho::mp
