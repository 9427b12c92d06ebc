#include "server/reaper.h"

#include "common/log/log.h"
#include "common/mp/step.h"
#include "server/access_log.h"
#include "server/believed_book.h"

namespace forkecho::server {
namespace {

void warn_of_crash(const mp::Exit& exit) {
  if (exit.exitcode < 0) {
    log::warning("child {} was ended by signal {}; its connection is lost", exit.pid,
                 -exit.exitcode);
  } else {
    log::warning("child {} failed with exit code {}; its connection is lost", exit.pid,
                 exit.exitcode);
  }
}

}  // namespace

/// Those of whom a signal has told.
void Reaper::reap_told() {
  if (spares_ != nullptr) spares_->count_taken();
  for (const mp::Exit& ended : signals_.told()) reap(ended);
  signals_.forget_told();
}

void Reaper::reap(const mp::Exit& ended) {
  page_.reaping.begin(ended.pid, page_.book);
  account_for(ended);
  FORKECHO_MP_STEP("acceptor.reap.booked");
  mp::reap_one(ended.pid);
  FORKECHO_MP_STEP("acceptor.reap.done");
  page_.reaping.end();
  children_.looks().something_happened();
}

void Reaper::account_for(const mp::Exit& exit) {
  FORKECHO_MP_STEP("acceptor.reap.found");
  const auto index = children_.remove(exit.pid);
  if (!index) return;
  const Slot& slot = children_.slot(*index);
  Book& book = page_.book;
  book.bytes_in.add(believable_bytes(slot.meter.bytes_in.get()));
  book.bytes_out.add(believable_bytes(slot.meter.bytes_out.get()));
  const bool said_so = slot.state.load(std::memory_order_relaxed) == SlotState::serving;
  if (slot.pid.load(std::memory_order_relaxed) != exit.pid) repair_slots();
  book.reaped.add(1);
  if (spares_ == nullptr || spares_->had_client_of_ours(exit, said_so)) book_connection(slot, exit);
  gate_.ended(children_.leave(*index));
}

void Reaper::repair_slots() {
  children_.repair([this](pid_t pid) { return spares_ != nullptr && spares_->has(pid); });
}

void Reaper::book_connection(const Slot& slot, const mp::Exit& exit) {
  const Ending ending = ending_of_exitcode(exit.exitcode);
  if (ending == Ending::crashed) warn_of_crash(exit);
  book_ending(
      page_, [&] { return describe_connection(slot, AccessRole::child, outcome_of(ending)); },
      [&] { page_.book.record(ending); });
}

}  // namespace forkecho::server
