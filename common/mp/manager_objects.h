// ManagerObjects: all that a Manager's server keeps: the objects by their number and by their name,
// and which clients are parked until when. Pure state: packets in, packets out, the time is an
// argument; manager_server.h has the sockets and the clock.
//
// Objects live as long as the manager, or until they are removed: no references are counted, since
// a proxy may lie encoded in a queue, a file or another object, where nobody could count it.
// One thread.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/mp/managed_object.h"
#include "common/mp/managed_protocol.h"
#include "common/sys/deadline.h"

namespace forkecho::mp::managed {

class ManagerObjects {
 public:
  /// Applies a request of `from` at the moment `now`, and adds the answers that it leads to, for
  /// `from` and for others. Throws DecodeError when no client of ours sends such a packet: nothing
  /// was changed, and nobody was answered.
  void apply(ClientId from, BytesView packet, sys::Clock::time_point now, Answers& answers);
  /// Answers those whose deadline is `now` or before.
  void expire(sys::Clock::time_point now, Answers& answers);
  /// `client` has vanished: what it held or waited for is given up.
  void forget(ClientId client, Answers& answers);
  /// When expire must be called next.
  sys::Deadline next_deadline() const;

 private:
  struct Entry {
    Kind kind;
    std::uint64_t type;  // what its maker says of the values in it; compared, never understood
    std::string name;    // may be empty
    std::unique_ptr<ManagedObject> object;
  };
  struct Parked {
    ObjectId object;
    sys::Clock::time_point until;
  };
  Outcome dispatch(const RequestHeader& header, const Request& request, Answers& answers);
  Outcome manage(const Request& request, Answers& answers);
  ObjectId create(Decoder& arguments);
  ObjectId find_named(const std::string& name, Kind kind, std::uint64_t type) const;
  void remove(ObjectId id, Answers& answers);
  Entry& entry_of(ObjectId id, Kind kind);
  void park(ClientId client, Parked parked);
  void unpark(ClientId client);
  void unpark_answered(Answers& answers, std::size_t from);

  std::unordered_map<ObjectId, Entry> objects_;
  std::set<ObjectId> held_;  // of the kinds that can be held or waited for
  std::unordered_map<std::string, ObjectId> names_;
  std::unordered_map<ClientId, Parked> parked_;
  std::set<std::pair<sys::Clock::time_point, ClientId>> deadlines_;  // of the parked that have one
  ObjectId last_id_ = the_manager;
};

}  // namespace forkecho::mp::managed
