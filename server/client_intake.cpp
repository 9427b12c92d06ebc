#include "server/client_intake.h"

#include <cerrno>
#include <utility>

#include "common/mp/step.h"
#include "server/accept_alarm.h"
#include "server/access_log.h"

namespace forkecho::server {

ClientIntake::ClientIntake(const ProcessContext& context, const ConnectionChild& child,
                           ChildrenInSlots& children, Gate& gate, Shortage& shortage,
                           SpareKeeper* spares)
    : listeners_(context.listeners),
      listeners_block_(has_single_use_workers(context.options)),
      page_(context.page()),
      child_(child),
      children_(children),
      gate_(gate),
      shortage_(shortage),
      spares_(spares) {
  if (listeners_block_) hear_alarms();
}

bool ClientIntake::take_waiting() {
  bool found = false;
  for (const Listener& listener : listeners_) {
    for (int i = 0; i < batch && is_open(); ++i) {
      if (!accept_one(listener)) break;
      found = true;
    }
  }
  return found;
}

bool ClientIntake::accept_one(const Listener& listener) {
  if (gate_.before_accept().verdict != Admission::Verdict::admit) return false;
  AcceptResult accepted = accept_now(listener);
  if (accepted.outcome != AcceptResult::Outcome::client) gate_.nobody_came();
  switch (accepted.outcome) {
    case AcceptResult::Outcome::client:
      FORKECHO_MP_STEP("acceptor.accept.taken");
      page_.book.accepted.add(1);
      FORKECHO_MP_STEP("acceptor.accept.booked");
      take_in(std::move(accepted.client));
      return true;
    case AcceptResult::Outcome::exhausted:
      if (accepted.error == EMFILE && spare_descriptor_.give_up()) return accept_one(listener);
      shortage_.begin("cannot accept", accepted.error, "clients wait in the queue");
      return false;
    case AcceptResult::Outcome::closed:
      door_closed_ = true;
      return false;
    case AcceptResult::Outcome::none:
      return false;
  }
  return false;
}

/// Where listeners wait in accept, as spares shall, these, or those of another generation, may be
/// quicker than we are.
AcceptResult ClientIntake::accept_now(const Listener& listener) const {
  if (!listeners_block_) return listener.accept();
  if (!listener.has_waiting_client()) return {.outcome = AcceptResult::Outcome::none, .client = {}};
  const AcceptAlarm alarm;
  return listener.accept();
}

void ClientIntake::take_in(AcceptedClient client) {
  const Admission admission = gate_.decide(client.peer);
  if (admission.verdict == Admission::Verdict::refuse) {
    gate_.refuse(std::move(client), admission.reason);
  } else {
    fork_child(std::move(client));
  }
}

void ClientIntake::fork_child(AcceptedClient client) {
  const std::uint32_t index = children_.take_slot(client.peer, SlotState::serving, gate_.source());
  FORKECHO_MP_STEP("acceptor.fork.before");
  const pid_t pid = child_.fork_for(client.socket.get(), children_.slot(index));
  if (pid < 0) return fork_failed(std::move(client), index);
  FORKECHO_MP_STEP("acceptor.fork.after");
  const sys::Duration took = children_.enter(pid, index);
  if (spares_ != nullptr) spares_->client_came(children_.entered(index), took);
  FORKECHO_MP_STEP("acceptor.fork.booked");
}

void ClientIntake::fork_failed(AcceptedClient client, std::uint32_t index) {
  shortage_.begin("cannot fork a child for a connection", errno,
                  "it is closed, and the next wait in the queue");
  gate_.ended(children_.leave(index));
  book_ending(
      page_,
      [&] {
        return describe_arrival(client.peer, AccessRole::acceptor, AccessOutcome::fork_failed);
      },
      [&] { page_.book.fork_failed.add(1); });
  shortage_.see_off(std::move(client));
}

}  // namespace forkecho::server
