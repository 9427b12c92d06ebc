#include "common/mp/managed_queue.h"

#include <algorithm>

namespace forkecho::mp::managed {

Outcome ManagedQueue::apply(const Request& request, Answers& answers) {
  switch (static_cast<QueueOp>(request.op)) {
    case QueueOp::put:
      return put(request, answers);
    case QueueOp::get:
      return get(request, answers);
    case QueueOp::taken:
      if (handed_out_.erase(request.from) == 0)
        throw DecodeError("an item was acknowledged that was not handed out");
      return Outcome::done;
    case QueueOp::give_back:
      give_back(request.from, answers);
      return Outcome::done;
    case QueueOp::size:
      answers.ok(request.from).put<std::uint64_t>(items_.size());
      return Outcome::done;
    case QueueOp::state: {
      Encoder& answer = answers.ok(request.from);
      answer.put(items_.empty());
      answer.put(full());
      return Outcome::done;
    }
  }
  throw_unknown_operation();
}

Outcome ManagedQueue::put(const Request& request, Answers& answers) {
  Blob item = to_blob(get_blob(request.arguments));
  if (full()) {
    putters_.push_back({request.from, std::move(item)});
    return Outcome::parked;
  }
  items_.push_back(std::move(item));
  answers.ok(request.from).put(true);
  take_from_parked(answers);
  return Outcome::done;
}

Outcome ManagedQueue::get(const Request& request, Answers& answers) {
  if (handed_out_.contains(request.from))
    throw DecodeError("an item was asked for before the last was acknowledged");
  if (items_.empty()) {
    getters_.push_back(request.from);
    return Outcome::parked;
  }
  hand_out(request.from, answers);
  take_from_parked(answers);
  return Outcome::done;
}

void ManagedQueue::hand_out(ClientId client, Answers& answers) {
  const Blob& item = handed_out_[client] = std::move(items_.front());
  items_.pop_front();
  Encoder& answer = answers.ok(client);
  answer.put(true);
  put_blob(answer, item);
}

/// Lets go on all whom an item or a place allows to.
void ManagedQueue::take_from_parked(Answers& answers) {
  for (;;) {
    if (!getters_.empty() && !items_.empty()) {
      const ClientId client = getters_.front();
      getters_.pop_front();
      hand_out(client, answers);
    } else if (!putters_.empty() && !full()) {
      items_.push_back(std::move(putters_.front().item));
      answers.ok(putters_.front().client).put(true);
      putters_.pop_front();
    } else {
      return;
    }
  }
}

bool ManagedQueue::drop_getter(ClientId client) {
  return std::erase(getters_, client) > 0;
}

bool ManagedQueue::drop_putter(ClientId client) {
  return std::erase_if(putters_, [&](const Putter& each) { return each.client == client; }) > 0;
}

void ManagedQueue::expire(ClientId client, Answers& answers) {
  // The same answer for both: no item, and no place.
  if (drop_getter(client) || drop_putter(client)) answers.ok(client).put(false);
}

void ManagedQueue::forget(ClientId client, Answers& answers) {
  drop_getter(client);
  drop_putter(client);
  give_back(client, answers);
}

/// What was handed out to `client`, if anything was.
void ManagedQueue::give_back(ClientId client, Answers& answers) {
  const auto held = handed_out_.find(client);
  if (held == handed_out_.end()) return;
  items_.push_front(std::move(held->second));
  handed_out_.erase(held);
  take_from_parked(answers);
}

}  // namespace forkecho::mp::managed
