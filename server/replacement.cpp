#include "server/replacement.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "common/log/log.h"
#include "common/mp/reap.h"

namespace forkecho::server {

std::string objection_to_upgrade(const UpgradeFacts& facts) {
  if (facts.pid == 1)
    return "process 1 of a container cannot be replaced: its end is the container's; start a new "
           "container instead";
  if (!facts.program_is_known) return "the path of this program is not known";
  if (facts.is_under_way) return "an upgrade is under way";
  if (facts.state != State::running) return "the daemon is " + std::string(to_string(facts.state));
  if (!facts.duties_are_ours) return "this daemon has not taken over from the one before yet";
  if (facts.reloads) return "a reload is under way; try again when it is done";
  return {};
}

std::vector<Handover::Socket> sockets_to_hand_over(std::span<const Listener> listeners,
                                                   std::span<const std::string> asked_for) {
  std::vector<Handover::Socket> sockets;
  for (const Listener& listener : listeners) {
    // A service manager's are not what was asked for.
    const bool own = listener.owner() == Listener::Owner::daemon;
    sockets.push_back({.fd = listener.fd(),
                       .owner = listener.owner(),
                       .text = own ? asked_for[sockets.size() % asked_for.size()] : std::string()});
  }
  return sockets;
}

Replacement::Replacement(asio::io_context& context, Invocation called_as, Duties& duties,
                         std::span<const Listener> listeners, Events events)
    : context_(context),
      called_as_(std::move(called_as)),
      duties_(duties),
      listeners_(listeners),
      events_(std::move(events)) {}

void Replacement::begin(sys::Duration timeout, Handover handover, ControlSocket::Reply reply) {
  log::info("upgrade: starting '{}'", called_as_.program);
  reply_ = std::move(reply);
  upgrade_ = std::make_shared<Upgrade>(
      context_, timeout,
      Upgrade::Events{.is_ready = [this](const std::vector<int>& taken) { hand_over(taken); },
                      .replaced = [this] { on_replaced(); },
                      .failed = [this](const std::string& why) { on_failed(why); }});
  try {
    self_ = mp::open_sentinel(getpid());
    handover.pidfile = duties_.pid_file();
    handover.control = duties_.control();
    handover.predecessors.push_back(self_.get());
    upgrade_->start(called_as_, std::move(handover));
  } catch (const std::exception& error) {  // no memory is one, too
    on_failed(std::string("the new program could not be started: ") + error.what());
  }
}

/// The upgrade itself forgets itself meanwhile.
void Replacement::give_up(const std::string& why) {
  if (const auto upgrade = upgrade_) upgrade->give_up(why);
}

void Replacement::hand_over(const std::vector<int>& taken) {
  taken_ = taken;
  handing_over_ = true;
  duties_.hand_to(upgrade_->pid());
  upgrade_->take_over();
}

void Replacement::on_failed(const std::string& why) {
  log::error("upgrade failed, and nothing has changed: {}", why);
  if (std::exchange(handing_over_, false)) duties_.take_back();
  conclude("error: upgrade failed, and nothing has changed: " + why + "\n");
}

void Replacement::conclude(const std::string& answer) {
  upgrade_.reset();
  self_.reset();
  if (const auto reply = std::exchange(reply_, nullptr)) reply(answer);
}

void Replacement::on_replaced() {
  log::info("replaced by process {}", upgrade_->pid());
  duties_.leave(taken_);
  conclude("ok\n");
  events_.replaced(taken_);
  for (const Listener& listener : listeners_)
    if (std::ranges::find(taken_, listener.fd()) == taken_.end())
      left_.close(listener, sys::Clock::now());
  if (!closes_doors()) events_.nobody_waits();
}

void Replacement::watch(sys::Clock::time_point now) {
  if (!closes_doors()) return;
  left_.watch(now);
  if (!closes_doors()) events_.nobody_waits();
}

}  // namespace forkecho::server
