#include "common/mp/manager_objects.h"

#include <stdexcept>
#include <vector>

#include "common/mp/managed_dict.h"
#include "common/mp/managed_list.h"
#include "common/mp/managed_lock.h"
#include "common/mp/managed_queue.h"

namespace forkecho::mp::managed {
namespace {

std::unique_ptr<ManagedObject> make(Kind kind, Decoder& arguments) {
  switch (kind) {
    case Kind::dict:
    case Kind::name_space:
      return std::make_unique<ManagedDict>();
    case Kind::list:
      return std::make_unique<ManagedList>();
    case Kind::queue:
      return std::make_unique<ManagedQueue>(arguments.get<std::uint64_t>());
    case Kind::lock:
      return std::make_unique<ManagedLock>(Recursive::no);
    case Kind::rlock:
      return std::make_unique<ManagedLock>(Recursive::yes);
    case Kind::manager:
      break;
  }
  throw DecodeError("an object of unknown kind");
}

bool can_be_held(Kind kind) {
  return kind == Kind::queue || kind == Kind::lock || kind == Kind::rlock;
}

bool is_unanswered(const RequestHeader& header) {
  const auto op = static_cast<QueueOp>(header.op);
  return header.kind == Kind::queue && (op == QueueOp::taken || op == QueueOp::give_back);
}

ErrorKind kind_of(const std::exception& error) {
  if (dynamic_cast<const std::out_of_range*>(&error) != nullptr) return ErrorKind::out_of_range;
  if (dynamic_cast<const std::length_error*>(&error) != nullptr) return ErrorKind::length_error;
  if (dynamic_cast<const std::invalid_argument*>(&error) != nullptr)
    return ErrorKind::invalid_argument;
  if (dynamic_cast<const std::logic_error*>(&error) != nullptr) return ErrorKind::logic_error;
  return ErrorKind::other;
}

}  // namespace

void ManagerObjects::apply(ClientId from, BytesView packet, sys::Clock::time_point now,
                           Answers& answers) {
  if (parked_.contains(from)) throw DecodeError("a request before the last was answered");
  Decoder arguments(packet);
  const auto header = arguments.get<RequestHeader>();
  const std::size_t before = answers.count();
  try {
    const Outcome outcome = dispatch(header, {from, header.op, arguments}, answers);
    if (outcome == Outcome::parked)
      park(from, {header.object, deadline_from_wire(header.deadline_ns).when()});
  } catch (const DecodeError&) {
    answers.retract(from, before);
    throw;
  } catch (const std::exception& error) {
    answers.retract(from, before);
    answers.error(from, kind_of(error), error.what());
  }
  unpark_answered(answers, before);
  expire(now, answers);
}

Outcome ManagerObjects::dispatch(const RequestHeader& header, const Request& request,
                                 Answers& answers) {
  if (header.kind == Kind::manager) return manage(request, answers);
  // Nobody waits for an answer to these, so there can be none if the queue was removed.
  if (is_unanswered(header) && !objects_.contains(header.object)) return Outcome::done;
  return entry_of(header.object, header.kind).object->apply(request, answers);
}

Outcome ManagerObjects::manage(const Request& request, Answers& answers) {
  switch (static_cast<ManagerOp>(request.op)) {
    case ManagerOp::create: {
      const ObjectId id = create(request.arguments);
      answers.ok(request.from).put(id);
      return Outcome::done;
    }
    case ManagerOp::remove:
      remove(request.arguments.get<ObjectId>(), answers);
      answers.ok(request.from);
      return Outcome::done;
    case ManagerOp::count:
      answers.ok(request.from).put<std::uint64_t>(objects_.size());
      return Outcome::done;
  }
  throw_unknown_operation();
}

ObjectId ManagerObjects::create(Decoder& arguments) {
  const auto kind = arguments.get<Kind>();
  const auto type = arguments.get<std::uint64_t>();
  const auto name = arguments.get<std::string>();
  if (const ObjectId id = find_named(name, kind, type); id != the_manager) return id;
  auto object = make(kind, arguments);
  const ObjectId id = ++last_id_;
  objects_.emplace(id, Entry{kind, type, name, std::move(object)});
  if (!name.empty()) names_.emplace(name, id);
  if (can_be_held(kind)) held_.insert(id);
  return id;
}

/// the_manager when there is no such object.
ObjectId ManagerObjects::find_named(const std::string& name, Kind kind, std::uint64_t type) const {
  const auto found = names_.find(name);
  if (found == names_.end()) return the_manager;
  const Entry& entry = objects_.at(found->second);
  if (entry.kind != kind || entry.type != type)
    throw std::logic_error("the manager's object '" + name + "' is of another type");
  return found->second;
}

void ManagerObjects::remove(ObjectId id, Answers& answers) {
  const auto found = objects_.find(id);
  if (found == objects_.end())
    throw std::logic_error("remove of an object that was removed before");
  names_.erase(found->second.name);
  objects_.erase(found);
  held_.erase(id);
  for (const auto& [client, parked] : parked_) {
    if (parked.object == id)
      answers.error(client, ErrorKind::logic_error, "the manager's object was removed");
  }
}

ManagerObjects::Entry& ManagerObjects::entry_of(ObjectId id, Kind kind) {
  const auto found = objects_.find(id);
  if (found == objects_.end()) throw std::logic_error("the manager's object was removed");
  if (found->second.kind != kind)
    throw DecodeError("an object is addressed as one of another kind");
  return found->second;
}

void ManagerObjects::park(ClientId client, Parked parked) {
  parked_.emplace(client, parked);
  if (parked.until != sys::Clock::time_point::max()) deadlines_.emplace(parked.until, client);
}

void ManagerObjects::unpark(ClientId client) {
  const auto found = parked_.find(client);
  if (found == parked_.end()) return;
  deadlines_.erase({found->second.until, client});
  parked_.erase(found);
}

/// Whoever was answered waits no longer.
void ManagerObjects::unpark_answered(Answers& answers, std::size_t from) {
  for (std::size_t i = from; i < answers.count(); ++i) unpark(answers.all()[i].to);
}

void ManagerObjects::expire(sys::Clock::time_point now, Answers& answers) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const ClientId client = deadlines_.begin()->second;
    const std::size_t before = answers.count();
    objects_.at(parked_.at(client).object).object->expire(client, answers);
    unpark(client);
    unpark_answered(answers, before);
  }
}

void ManagerObjects::forget(ClientId client, Answers& answers) {
  unpark(client);
  const std::size_t before = answers.count();
  for (const ObjectId id : held_) objects_.at(id).object->forget(client, answers);
  unpark_answered(answers, before);
}

sys::Deadline ManagerObjects::next_deadline() const {
  return deadlines_.empty() ? sys::Deadline::never() : sys::Deadline::at(deadlines_.begin()->first);
}

}  // namespace forkecho::mp::managed
