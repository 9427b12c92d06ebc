// ManagedObject: the state of one thing that a Manager's server keeps (a dict, list, queue or
// lock), without sockets, processes or clocks, so that each kind is tested as a plain object.
//
// manager_objects.h owns them and calls them, in one thread of the server. A request is answered at
// once, or parked: then the object remembers the client, and answers it in a later call.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/mp/codec.h"
#include "common/mp/managed_protocol.h"

namespace forkecho::mp::managed {

/// One connection of one thread of one process.
using ClientId = std::uint64_t;

/// Answers that wait to be sent, in the order in which they were given.
class Answers {
 public:
  struct Answer {
    ClientId to;
    Encoder packet;
  };
  /// A good answer: the caller puts the results into it.
  Encoder& ok(ClientId to) { return begin(to, Status::ok); }
  void error(ClientId to, ErrorKind kind, const std::string& text) {
    Encoder& packet = begin(to, Status::error);
    packet.put(kind);
    packet.put(text);
  }
  /// Takes back what `to` was answered after the first `count` answers.
  void retract(ClientId to, std::size_t count);
  std::vector<Answer>& all() { return answers_; }
  std::size_t count() const { return answers_.size(); }

 private:
  Encoder& begin(ClientId to, Status status) {
    Encoder& packet = answers_.emplace_back(Answer{to, {}}).packet;
    packet.put(status);
    return packet;
  }
  std::vector<Answer> answers_;
};

struct Request {
  ClientId from;
  std::uint32_t op;
  Decoder& arguments;
};

enum class Outcome {
  done,   // answered, or in need of no answer
  parked  // the object answers later: when it can, or when expire is called
};

class ManagedObject {
 public:
  ManagedObject() = default;
  ManagedObject(const ManagedObject&) = delete;
  ManagedObject& operator=(const ManagedObject&) = delete;
  virtual ~ManagedObject() = default;

  /// Changes the state and answers. An exception means that nothing was changed: DecodeError for a
  /// request that no client of ours sends, a std::logic_error and its kin for misuse.
  virtual Outcome apply(const Request& request, Answers& answers) = 0;
  /// The parked request of `client` has reached its deadline: the object forgets it and answers.
  virtual void expire(ClientId client, Answers& answers);
  /// `client` has vanished: the object forgets its parked request and takes back what it held.
  virtual void forget(ClientId client, Answers& answers);
};

/// What to throw for an operation that the kind does not have.
[[noreturn]] void throw_unknown_operation();

}  // namespace forkecho::mp::managed
