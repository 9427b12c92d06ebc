// Shortage: how a process that accepts bears it when the system refuses a process, a descriptor or
// memory. It pauses, so that it does not spin while something may come free; it says so in one line
// with the remedy, at most once a second, with the number of times; and the client that could not
// be served is ended in order.
//
// While a pause lasts nothing may be accepted or forked; signals are heard all the same (wait with
// the deadline `until`). Of one process; not for threads. Nothing here fails.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"
#include "server/listener.h"

namespace forkecho::server {

/// What a person can do about errno `error`: a command or a setting to look at.
std::string_view remedy_of(int error);

/// True for the errors by which the system says that it has no more of something: descriptors,
/// memory, processes.
bool is_shortage(int error);

/// How often the same trouble is told.
class RepeatedWarning {
 public:
  /// Writes "WHAT: ERROR; CONSEQUENCE (REMEDY)" as a warning, unless one was written within a
  /// second: then it is counted, and the next tells how many were left out.
  void tell(std::string_view what, int error, std::string_view consequence);

 private:
  sys::Deadline silent_until_ = sys::Deadline::immediately();
  std::uint64_t untold_ = 0;
};

class Shortage {
 public:
  /// Time in which something may come free.
  static constexpr auto pause = std::chrono::milliseconds(100);

  /// `what` failed with `error`; a pause begins.
  void begin(std::string_view what, int error, std::string_view consequence);
  /// In a pause: ends a connection that cannot be served, half-closed now, closed at the end of the
  /// pause. What comes from the client meanwhile is discarded, so that no reset eats the end.
  /// Book it first: whoever sees the end may ask for the books at once.
  void see_off(AcceptedClient client);
  /// Ends the pause if it is over. Call once in every turn of a loop.
  void refresh() {
    if (lasts_ && until_.passed()) end();
  }
  bool lasts() const { return lasts_; }
  /// The end of the pause; never, when there is none.
  sys::Deadline until() const { return lasts_ ? until_ : sys::Deadline::never(); }

 private:
  void end();
  void close_leaving();

  bool lasts_ = false;
  sys::Deadline until_ = sys::Deadline::never();
  RepeatedWarning warning_;
  sys::Descriptor leaving_;
};

/// Without a free descriptor nobody can be accepted, not even to be told so. Nobody reads the
/// standard input of an acceptor or a worker: it is the spare that is given up for a client. Those
/// that need a descriptor only for a moment, or for one client at a time, go on with its number for
/// good.
class SpareDescriptor {
 public:
  /// False when it was given up before.
  bool give_up();
  /// Takes the number again, with a copy of standard output, if nobody has it.
  void take_back();

 private:
  bool given_up_ = false;
};

}  // namespace forkecho::server
