// ManagedQueue: the state of a Manager's queue in the server: items in order, those who wait to put
// or to get, first come first served, and the items that were handed out and not yet acknowledged.
//
// An item handed to a client is its own once the client has said `taken`, which it does before its
// get returns. A client that vanishes earlier, or says `give_back` because it could not receive the
// item, has shown it to nobody: the item goes back to the head, and the next get has it. So no item
// is lost or delivered twice by the queue; what a client is killed with after get returned is gone
// with it.
#pragma once

#include <cstddef>
#include <deque>
#include <unordered_map>
#include <utility>

#include "common/mp/managed_object.h"

namespace forkecho::mp::managed {

class ManagedQueue final : public ManagedObject {
 public:
  /// Room for `capacity` items. An item that is given back is taken in over it.
  explicit ManagedQueue(std::size_t capacity) : capacity_(capacity) {}

  Outcome apply(const Request& request, Answers& answers) override;
  void expire(ClientId client, Answers& answers) override;
  void forget(ClientId client, Answers& answers) override;

 private:
  struct Putter {
    ClientId client;
    Blob item;
  };
  Outcome put(const Request& request, Answers& answers);
  Outcome get(const Request& request, Answers& answers);
  void take_from_parked(Answers& answers);
  void hand_out(ClientId client, Answers& answers);
  void give_back(ClientId client, Answers& answers);
  bool full() const { return items_.size() >= capacity_; }
  bool drop_getter(ClientId client);
  bool drop_putter(ClientId client);

  std::size_t capacity_;
  std::deque<Blob> items_;
  std::deque<ClientId> getters_;  // parked: there was no item
  std::deque<Putter> putters_;    // parked: there was no room
  std::unordered_map<ClientId, Blob> handed_out_;
};

}  // namespace forkecho::mp::managed
