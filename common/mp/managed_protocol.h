// What a Manager's clients and its server say to each other, after the handshake: one packet of a
// mp::Connection for a request, one for its answer, strictly in turns. QueueOp::taken and
// give_back alone have no answer.
//
// A request is a RequestHeader and the arguments of its operation; an answer is a Status and the
// results, or an ErrorKind and a text. Values travel as blobs (their encoded bytes with a length
// before) and are never decoded by the server. Values only; safe everywhere.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "common/mp/codec.h"
#include "common/sys/deadline.h"

namespace forkecho::mp::managed {

/// Names one object of a manager, never used again; 0 is the manager itself.
using ObjectId = std::uint64_t;
inline constexpr ObjectId the_manager = 0;

enum class Kind : std::uint32_t { manager, dict, list, name_space, queue, lock, rlock };

enum class ManagerOp : std::uint32_t { create, remove, count };
enum class DictOp : std::uint32_t {
  get,
  set,
  pop,
  pop_last,
  contains,
  size,
  keys,
  items,
  update,
  clear,
  set_default,
  replace
};
enum class ListOp : std::uint32_t {
  extend,
  get,
  set,
  insert,
  pop,
  remove,
  index,
  count,
  size,
  slice,
  clear,
  reverse,
  versioned,
  replace_all
};
enum class QueueOp : std::uint32_t { put, get, taken, size, state, give_back };
enum class LockOp : std::uint32_t { acquire, release };

/// Begins every request. Without padding: its bytes cross as they are.
struct RequestHeader {
  ObjectId object;
  Kind kind;
  std::uint32_t op;  // of the kind's own enumeration
  std::int64_t deadline_ns;
};
static_assert(std::has_unique_object_representations_v<RequestHeader>);

enum class Status : std::uint8_t { ok, error };

/// Which exception the client throws for an error of the server.
enum class ErrorKind : std::uint8_t {
  logic_error,
  out_of_range,
  length_error,
  invalid_argument,
  other
};

/// A deadline crosses as nanoseconds on CLOCK_MONOTONIC, which all processes of a machine share.
inline std::int64_t to_wire(sys::Deadline deadline) {
  return deadline.when().time_since_epoch().count();
}
inline sys::Deadline deadline_from_wire(std::int64_t ns) {
  return sys::Deadline::at(sys::Clock::time_point(sys::Duration(ns)));
}
static_assert(sys::Clock::time_point::max().time_since_epoch().count() ==
              std::numeric_limits<std::int64_t>::max());

inline void put_blob(Encoder& to, BytesView bytes) {
  to.put<std::uint64_t>(bytes.size());
  to.raw(bytes.data(), bytes.size());
}
inline void put_blob(Encoder& to, std::string_view bytes) {
  put_blob(to, std::as_bytes(std::span(bytes)));
}
inline BytesView get_blob(Decoder& from) {
  return from.raw(from.get<std::uint64_t>());
}

/// How the server keeps an encoded value: short ones lie in the string itself.
using Blob = std::string;
inline Blob to_blob(BytesView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline BytesView to_view(std::string_view blob) {
  return std::as_bytes(std::span(blob));
}

}  // namespace forkecho::mp::managed
