// ManagedLock: the state of a Manager's Lock or RLock in the server: who holds it, and who waits,
// first come first served. A holder that vanishes gives it up, and the next is told owner_died.
#pragma once

#include <deque>
#include <optional>

#include "common/mp/managed_object.h"

namespace forkecho::mp::managed {

enum class Recursive { no, yes };

class ManagedLock final : public ManagedObject {
 public:
  explicit ManagedLock(Recursive recursive) : recursive_(recursive) {}

  Outcome apply(const Request& request, Answers& answers) override;
  void expire(ClientId client, Answers& answers) override;
  void forget(ClientId client, Answers& answers) override;

 private:
  Outcome acquire(ClientId client, Answers& answers);
  void release(ClientId client, Answers& answers);
  void take(ClientId client, Answers& answers);
  void pass_on(Answers& answers);

  Recursive recursive_;
  std::optional<ClientId> holder_;
  std::uint64_t depth_ = 0;  // how often the holder has acquired it
  bool owner_died_ = false;  // what the next holder is told
  std::deque<ClientId> waiters_;
};

}  // namespace forkecho::mp::managed
