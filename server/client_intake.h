// ClientIntake: how an acceptor takes in those who wait at its listeners: it accepts, asks the
// gate, and forks a child for each who is admitted; the others are refused in order.
//
// The acceptor calls it in its loop when clients were heard, or when it empties the queue for a
// drain. It never waits but, of single-use workers, for AcceptAlarm::patience. When the system
// refuses a descriptor or a process, the acceptor's shortage begins: clients stay in the queue, and
// one who was accepted already is seen off. Not for threads.
#pragma once

#include <span>

#include "server/children_in_slots.h"
#include "server/connection_child.h"
#include "server/gate.h"
#include "server/listener.h"
#include "server/process_context.h"
#include "server/shortage.h"
#include "server/spare_keeper.h"

namespace forkecho::server {

class ClientIntake {
 public:
  /// How many may be taken from one listener before children are reaped and signals heard again.
  static constexpr int batch = 16;

  /// `spares`: null where no workers are forked ahead. Throws std::system_error.
  ClientIntake(const ProcessContext& context, const ConnectionChild& child,
               ChildrenInSlots& children, Gate& gate, Shortage& shortage, SpareKeeper* spares);

  /// Whether take_waiting() would let somebody in.
  bool is_open() { return !door_closed_ && !shortage_.lasts() && gate_.is_open(); }
  /// Takes those who wait, a batch from each listener; whether there was anybody.
  bool take_waiting();

  /// Nobody will come any more: the listeners were shut, or close_door() was called.
  bool door_closed() const { return door_closed_; }
  void close_door() { door_closed_ = true; }

 private:
  bool accept_one(const Listener& listener);
  AcceptResult accept_now(const Listener& listener) const;
  void take_in(AcceptedClient client);
  void fork_child(AcceptedClient client);
  void fork_failed(AcceptedClient client, std::uint32_t index);

  const std::span<const Listener> listeners_;
  const bool listeners_block_;
  ProcessPage& page_;
  const ConnectionChild& child_;  // not with us, where children do not see it
  ChildrenInSlots& children_;
  Gate& gate_;
  Shortage& shortage_;
  SpareKeeper* const spares_;
  SpareDescriptor spare_descriptor_;
  bool door_closed_ = false;
};

}  // namespace forkecho::server
