#include "common/mp/managed_object.h"

#include <algorithm>

namespace forkecho::mp::managed {

void Answers::retract(ClientId to, std::size_t count) {
  const auto first = answers_.begin() + static_cast<std::ptrdiff_t>(count);
  answers_.erase(
      std::remove_if(first, answers_.end(), [&](const Answer& answer) { return answer.to == to; }),
      answers_.end());
}

void ManagedObject::expire(ClientId, Answers&) {}
void ManagedObject::forget(ClientId, Answers&) {}

void throw_unknown_operation() {
  throw DecodeError("an operation that no client of a manager asks for");
}

}  // namespace forkecho::mp::managed
