// The client's side of a Manager: one connection for each thread of each process, opened at its
// first call, and the call itself: a request, its answer.
//
// A manager is known to a process as long as it has a Manager or a proxy of it (ManagerHandle).
// When the last goes, the calling thread's connection is closed; those of other threads close when
// they end. Safe between threads: each has its own connections. A process forked with connections
// open leaves them to its parent, and opens its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/mp/codec.h"
#include "common/mp/managed_protocol.h"
#include "common/mp/manager_handshake.h"
#include "common/sys/deadline.h"

namespace forkecho::mp::managed {

/// A manager as this process knows it: where it is, and the key.
class KnownManager {
 public:
  KnownManager(std::string address, Bytes authkey);
  KnownManager(const KnownManager&) = delete;
  KnownManager& operator=(const KnownManager&) = delete;
  ~KnownManager();
  const std::string& address() const { return address_; }
  const Bytes& authkey() const { return authkey_; }
  /// Never the same twice in a process, where a place in memory may be.
  std::uint64_t serial() const { return serial_; }

 private:
  std::string address_;
  Bytes authkey_;
  std::uint64_t serial_;
};
using ManagerHandle = std::shared_ptr<const KnownManager>;

/// The handle for a manager, tried by connecting: the one that the process has, if it has one with
/// the same key. Throws as connect_and_authenticate.
ManagerHandle know_manager(const std::string& address, const Bytes& authkey);
/// For a proxy that came from elsewhere. AuthenticationError when the process has no key for
/// `address`: it was not forked from the maker, and has not called Manager::connect.
ManagerHandle known_manager(const std::string& address);

/// How long after its deadline an answer may come before the manager is given up.
inline constexpr sys::Duration answer_patience = std::chrono::seconds(10);

/// A good answer to a request, and where its results begin.
class Reply {
 public:
  explicit Reply(Bytes packet);
  Reply(const Reply&) = delete;  // the decoder views the packet
  Reply& operator=(const Reply&) = delete;
  Decoder& results() { return results_; }

 private:
  Bytes packet_;
  Decoder results_;
};

/// Sends a request (a header and its arguments) and waits for the answer: for ever, or until some
/// time after `deadline`, at which the server itself answers. Throws what the server says
/// (std::logic_error, std::out_of_range, std::length_error, std::invalid_argument, or
/// std::runtime_error for its own trouble), ManagerDied, AuthenticationError.
Reply call(const KnownManager& manager, BytesView request,
           sys::Deadline deadline = sys::Deadline::never());
/// Sends what has no answer. Throws ManagerDied.
void tell(const KnownManager& manager, BytesView message);

/// The beginning of a request.
Encoder begin_request(ObjectId object, Kind kind, std::uint32_t op,
                      sys::Deadline deadline = sys::Deadline::never());

}  // namespace forkecho::mp::managed
