#include "common/mp/managed_lock.h"

#include <stdexcept>

#include "common/mp/robust_mutex.h"

namespace forkecho::mp::managed {

Outcome ManagedLock::apply(const Request& request, Answers& answers) {
  switch (static_cast<LockOp>(request.op)) {
    case LockOp::acquire:
      return acquire(request.from, answers);
    case LockOp::release:
      release(request.from, answers);
      return Outcome::done;
  }
  throw_unknown_operation();
}

Outcome ManagedLock::acquire(ClientId client, Answers& answers) {
  if (!holder_) {
    take(client, answers);
    return Outcome::done;
  }
  if (*holder_ != client) {
    waiters_.push_back(client);
    return Outcome::parked;
  }
  if (recursive_ == Recursive::no)
    throw std::logic_error("acquire of a lock that the caller holds already");
  ++depth_;
  answers.ok(client).put(Acquired::yes);
  return Outcome::done;
}

void ManagedLock::take(ClientId client, Answers& answers) {
  holder_ = client;
  depth_ = 1;
  answers.ok(client).put(owner_died_ ? Acquired::owner_died : Acquired::yes);
  owner_died_ = false;
}

void ManagedLock::release(ClientId client, Answers& answers) {
  if (holder_ != client) throw std::logic_error("release of a lock that the caller does not hold");
  answers.ok(client);
  if (--depth_ == 0) pass_on(answers);
}

void ManagedLock::pass_on(Answers& answers) {
  holder_.reset();
  if (waiters_.empty()) return;
  const ClientId next = waiters_.front();
  waiters_.pop_front();
  take(next, answers);
}

void ManagedLock::expire(ClientId client, Answers& answers) {
  if (std::erase(waiters_, client) > 0) answers.ok(client).put(Acquired::timed_out);
}

void ManagedLock::forget(ClientId client, Answers& answers) {
  std::erase(waiters_, client);
  if (holder_ != client) return;
  owner_died_ = true;
  pass_on(answers);
}

}  // namespace forkecho::mp::managed
