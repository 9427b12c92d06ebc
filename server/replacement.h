// Replacement: this daemon's part in being replaced by the program that lies at its path now: what
// it hands over, what becomes of its duties on the way (duties.h), and that nobody who waits at a
// listener which the new daemon does not want is lost. Upgrade (upgrade.h) follows the new program
// itself.
//
//   begin       -> the new program runs
//   it is ready -> the duties are handed to it
//   replaced    -> the duties are left to it; what it has not taken is closed: this daemon retires
//   failed      -> the duties are taken back: nothing has changed
//
// The supervisor alone has one, in its io_context. Nothing here blocks, but for the moment that a
// killed process takes to end. Not for threads.
#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"
#include "server/closing_doors.h"
#include "server/control_socket.h"
#include "server/duties.h"
#include "server/handover.h"
#include "server/invocation.h"
#include "server/life_cycle.h"
#include "server/listener.h"
#include "server/upgrade.h"

namespace forkecho::server {

/// What decides whether there can be an upgrade now.
struct UpgradeFacts {
  pid_t pid = 0;  // this daemon's
  bool program_is_known = true;
  bool is_under_way = false;
  State state = State::running;
  bool duties_are_ours = true;
  bool reloads = false;
};
/// Why there cannot; empty when there can. Pure.
std::string objection_to_upgrade(const UpgradeFacts& facts);

/// The listeners as the new program gets them. `asked_for`: what --listen said, one for each of the
/// first listeners, and again for the next as many (open_listeners.h). Pure.
std::vector<Handover::Socket> sockets_to_hand_over(std::span<const Listener> listeners,
                                                   std::span<const std::string> asked_for);

class Replacement {
 public:
  struct Events {
    /// The other is the daemon now, and uses these descriptors of the handover.
    std::function<void(const std::vector<int>& taken)> replaced;
    /// After that: nobody waits any more at what it has not taken.
    std::function<void()> nobody_waits;
  };
  /// `duties` and `listeners` must outlive it.
  Replacement(asio::io_context& context, Invocation called_as, Duties& duties,
              std::span<const Listener> listeners, Events events);
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  bool program_is_known() const { return !called_as_.program.empty(); }
  /// From begin until it has failed or nobody waits.
  bool is_under_way() const { return upgrade_ || closes_doors(); }
  /// It is replaced, and somebody may still wait at what was not taken.
  bool closes_doors() const { return !left_.empty(); }

  /// Starts the new program, which may take `timeout` for each step (zero: no bound). Only where
  /// there is no objection. `handover`: the predecessors and the sockets; the rest is filled in
  /// here. `reply`, which may be empty, is called once with the outcome for the control socket.
  void begin(sys::Duration timeout, Handover handover, ControlSocket::Reply reply);
  /// The new program is killed, if it has not taken over; without effect when there is none.
  void give_up(const std::string& why);
  /// On every tick.
  void watch(sys::Clock::time_point now);

 private:
  void hand_over(const std::vector<int>& taken);
  void on_replaced();
  void on_failed(const std::string& why);
  void conclude(const std::string& answer);

  asio::io_context& context_;
  const Invocation called_as_;
  Duties& duties_;
  const std::span<const Listener> listeners_;
  const Events events_;
  std::shared_ptr<Upgrade> upgrade_;
  ControlSocket::Reply reply_;
  sys::Descriptor self_;  // our own pidfd, for the one that replaces us
  bool handing_over_ = false;
  std::vector<int> taken_;
  ClosingDoors left_;
};

}  // namespace forkecho::server
