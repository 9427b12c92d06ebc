// Manager: objects that live in a process of their own and are used by any number of others, as
// Python's multiprocessing.Manager: dict, list, Namespace, queue, lock.
//
//   mp::Manager manager;
//   const auto ages = manager.dict<std::string, int>();
//   mp::Process child([ages] { ages.set("Ada", 36); });
//   child.start();
//   child.join();
//   ages.get("Ada");                                   // 36
//
// A process that is no child of the maker reaches the same objects by their names:
//   auto remote = mp::Manager::connect(address, authkey);
//   remote.queue<std::string>(0, mp::Named("work")).put("task");
//
// When a process dies: what a client held (locks) or waited for is given up at once, and the next
// holder of a lock is told; no request is half-done, and no queue item is lost by the queue or seen
// twice (proxy.h). When the manager's process dies, every client gets ManagerDied, also in a call
// that waits; the objects are gone. The manager's process dies with its maker, however that
// ends.
//
// All are of one user: a child that changes its user can connect no more. Requests are served one
// after the other; a value of many megabytes holds up the others for as long as its bytes are
// copied.
//
// Objects live as long as the manager, or until removed. Safe between processes and threads, except
// the constructor, shutdown and the destructor. The maker must not be a daemon process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/mp/codec.h"
#include "common/mp/manager_client.h"
#include "common/mp/manager_handshake.h"
#include "common/mp/process.h"
#include "common/mp/proxy.h"

namespace forkecho::mp {

struct ManagerOptions {
  /// Who connects must have it. At most 1,024 bytes.
  Bytes authkey = current_process().authkey();
  /// A client that takes longer to show its key is cut off. More than zero.
  sys::Duration handshake_patience = managed::handshake_patience;
};

/// The name under which an object is found by whoever asks for the same name: it is made by the
/// first.
struct Named {
  Named() = default;  // none: a new object
  explicit Named(std::string name) : text(std::move(name)) {}
  std::string text;
};

class Manager {
 public:
  /// The capacity of a managed queue unless told otherwise, in items.
  static constexpr std::size_t default_queue_capacity = 32767;

  /// Starts the manager's process. Throws as Process::start; std::length_error for a key too long,
  /// std::invalid_argument for a handshake_patience of zero or less.
  explicit Manager(const ManagerOptions& options = {});
  /// The manager at `address`, from any process of the same user. Throws AuthenticationError for a
  /// wrong key, ManagerDied when there is no manager (any more).
  static Manager connect(const std::string& address, const Bytes& authkey);
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  /// In the process that made it: shutdown.
  ~Manager();  // NOLINT(bugprone-exception-escape): shutdown throws elsewhere alone

  /// Ends the manager's process, and all its objects with it. std::logic_error in any process but
  /// the maker's; without effect a second time.
  void shutdown();

  /// "@" and a name in the abstract namespace of unix sockets.
  const std::string& address() const { return manager_->address(); }
  const Bytes& authkey() const { return manager_->authkey(); }
  /// The manager's process; empty where it was not made here, and after shutdown.
  std::optional<pid_t> pid() const;

  /// New objects; with a name, the one of that name. std::logic_error when that is of another type.
  template <typename K, typename V>
  DictProxy<K, V> dict(const Named& name = {}) const {
    return make<DictProxy<K, V>>(name);
  }
  template <typename T>
  ListProxy<T> list(const Named& name = {}) const {
    return make<ListProxy<T>>(name);
  }
  template <typename T>
  ListProxy<T> list(const std::vector<T>& values) const {
    auto made = make<ListProxy<T>>({});
    made.extend(values);
    return made;
  }
  Namespace name_space(const Named& name = {}) const { return make<Namespace>(name); }
  /// Room for `maxsize` items; 0: default_queue_capacity. The first who names a queue decides.
  template <typename T>
  QueueProxy<T> queue(std::size_t maxsize = 0, const Named& name = {}) const {
    return make<QueueProxy<T>>(name, maxsize == 0 ? default_queue_capacity : maxsize);
  }
  LockProxy lock(const Named& name = {}) const { return make<LockProxy>(name); }
  RLockProxy rlock(const Named& name = {}) const { return make<RLockProxy>(name); }

  /// Removes an object: later calls on it, and those that wait on it, throw std::logic_error.
  void remove(const managed::Proxy& object) const;
  /// How many objects there are.
  std::size_t object_count() const;

 private:
  explicit Manager(managed::ManagerHandle manager) : manager_(std::move(manager)) {}
  template <typename Made>
  Made make(const Named& name, std::size_t capacity = 0) const {
    return Made(manager_, create(Made::kind, Made::type(), name, capacity));
  }
  managed::ObjectId create(managed::Kind kind, std::uint64_t type, const Named& name,
                           std::size_t capacity) const;

  std::optional<Process> process_;  // where it was made
  pid_t maker_ = 0;
  managed::ManagerHandle manager_;
};

}  // namespace forkecho::mp
