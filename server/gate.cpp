#include "server/gate.h"

#include <sched.h>

#include <algorithm>

#include "common/log/log.h"
#include "server/access_log.h"
#include "server/turn_away.h"

namespace forkecho::server {
namespace {

using sys::Clock;
using sys::Deadline;
using Asking = Claims::Asking;

/// Room that others make is announced by nobody: it is looked for as often as this.
constexpr auto room_poll = std::chrono::milliseconds(5);
/// Time for one that asks at the same moment to decide, on a loaded machine. Who takes longer was
/// stopped or killed, and counts for a connection.
constexpr auto contest_patience = std::chrono::milliseconds(200);
/// A first line about refusals is logged after so long without any; more are summed up
/// (refusal_log.h).
constexpr auto quiet = std::chrono::seconds(10);

/// Somebody who is to be refused is accepted for that.
bool may_accept(const Admission& admission) {
  return admission.verdict == Admission::Verdict::admit ||
         admission.verdict == Admission::Verdict::refuse;
}

}  // namespace

Gate::Gate(const ProcessContext& context, Accepting accepting, std::uint64_t limit)
    : options_(context.options),
      elders_(context.elders),
      pages_(context.pages),
      page_(context.page()),
      index_(context.page_index),
      deciders_(context.peers),
      sources_(pages_.admission.sources ? &*pages_.admission.sources : nullptr),
      limit_(limit),
      most_each_(accepting == Accepting::blocks ? 1 : limit),
      claims_ahead_(accepting == Accepting::polls && options_.when_full == WhenFull::wait) {
  if (options_.admission.accept_rate != 0)
    rate_.emplace((*pages_.admission.words)->next_due, options_.admission.accept_rate,
                  options_.admission.burst());
}

AdmissionFacts Gate::facts() const {
  return {.when_full = options_.when_full, .closing = closing_};
}

/// Once the doors of all elders are shut they stay so; what the last of them did with the accept
/// rate holds for us, too.
bool Gate::elders_have_shut() {
  // Where a process is a connection, the supervisor starts no more of ours than there is room for.
  if (elders_have_shut_ || (limit_ == 0 && sources_ == nullptr)) return true;
  if (still_accept(elders_)) return false;
  for (const auto& elder : elders_) {
    if (rate_ && elder->admission.words) rate_->take_over((*elder->admission.words)->next_due);
  }
  return elders_have_shut_ = true;
}

bool Gate::is_open() {
  if (!elders_have_shut()) return false;
  if (options_.when_full == WhenFull::refuse) return true;
  AdmissionFacts known = facts();
  known.limit = limit_;
  if (limit_ != 0) known.active = look(Asking::for_place, {}).taken;
  if (rate_) known.rate_allows = is_due();
  return may_accept(decide_admission(known));
}

bool Gate::is_due() const {
  const auto now = Clock::now();
  return rate_->ready_at(now) <= now;
}

Admission Gate::before_accept() {
  if (!claims_ahead_) return is_open() ? Admission::admit() : Admission{Admission::Verdict::wait};
  if (!elders_have_shut()) return {Admission::Verdict::wait};
  ahead_ = claim_place_and_token(facts());
  return may_accept(ahead_) ? Admission::admit() : ahead_;
}

bool Gate::claim_place() {
  return closing_ == Closing::no && elders_have_shut() &&
         (limit_ == 0 || claim(Asking::for_place, {}, limit_) < limit_);
}

void Gate::nobody_came() {
  if (!claims_ahead_) return;
  if (ahead_.verdict == Admission::Verdict::admit) give_back_place();
  if (has_token_) rate_->give_back();
}

Admission Gate::decide(const PeerAddress& peer) {
  AdmissionFacts known = facts();
  known.exempt = contains(options_.admission.exempt, peer);
  source_ = sources_ != nullptr && !known.exempt ? source_of(peer) : Source::uncounted;
  if (source_ != Source::uncounted) {
    known.source_limit = options_.admission.max_per_source;
    known.source_active = claim(Asking::for_source, source_, known.source_limit);
  }
  Admission admission = decide_admission(known);
  if (admission.verdict != Admission::Verdict::admit) {
    nobody_came();
    return admission;
  }
  admission = claims_ahead_ ? ahead_ : claim_place_and_token(known);
  if (admission.verdict != Admission::Verdict::admit && source_ != Source::uncounted)
    sources_->table(index_).remove(source_);
  return admission;
}

/// Both, or none of them.
Admission Gate::claim_place_and_token(AdmissionFacts known) {
  has_token_ = false;
  known.limit = limit_;
  if (limit_ != 0) known.active = claim(Asking::for_place, {}, limit_);
  Admission admission = decide_admission(known);
  if (admission.verdict != Admission::Verdict::admit || !rate_ || closing_ != Closing::no)
    return admission;
  known.rate_allows = has_token_ = rate_->take(Clock::now());
  admission = decide_admission(known);
  if (admission.verdict != Admission::Verdict::admit) give_back_place();
  return admission;
}

void Gate::ended(Source source) {
  if (source != Source::uncounted) sources_->table(index_).remove(source);
  give_back_place();
}

void Gate::give_back_place() {
  if (limit_ == 0) return;
  --places_;
  announce(Asking::no);
}

/// What the others and we have of it: less than `limit` if there is one more of ours now.
std::uint64_t Gate::claim(Asking what, Source source, std::uint64_t limit) {
  std::optional<Deadline> patience;
  page_.claims.source.store(static_cast<std::uint64_t>(source), std::memory_order_relaxed);
  for (;;) {
    announce(what);
    const Tally tally = look(what, source);
    const Room room = decide_room(tally, limit);
    if (room == Room::yes) {
      const bool counted = take(what, source);
      announce(Asking::no);
      return counted ? tally.taken : limit;
    }
    if (room != Room::contested_stay) announce(Asking::no);
    if (room == Room::none) return tally.taken;
    if (!patience) patience = Deadline::after(contest_patience);
    if (room == Room::contested_stay) sched_yield();
    if (room == Room::contested_yield) wait_for_those_before(what, source, *patience);
    if (patience->passed()) {
      announce(Asking::no);
      return limit;
    }
  }
}

/// Who decides alone need not say so.
void Gate::announce(Asking what) {
  if (deciders_ > 1) page_.claims.set(places_, what);
}

bool Gate::take(Asking what, Source source) {
  if (what == Asking::for_source) return sources_->table(index_).add(source);
  ++places_;
  return true;
}

void Gate::wait_for_those_before(Asking what, Source source, Deadline patience) const {
  while (look(what, source).asking_before > 0 && !patience.passed()) sched_yield();
}

Tally Gate::look(Asking what, Source source) const {
  Tally tally{.taken = own(what, source) + taken_elsewhere(what, source)};
  for (std::size_t i = 0; i < deciders_; ++i) {
    if (i == index_) continue;
    const Claims& claims = pages_[i].claims;
    // What is asked for before what is taken: the one becomes the other.
    const std::uint64_t word = claims.word.load(std::memory_order_seq_cst);
    const bool asks = Claims::asking(word) == what &&
                      (what == Asking::for_place || claims.source.load(std::memory_order_relaxed) ==
                                                        static_cast<std::uint64_t>(source));
    if (asks) ++(i < index_ ? tally.asking_before : tally.asking_behind);
    tally.taken += what == Asking::for_place
                       ? std::min<std::uint64_t>(Claims::places(word), most_each_)
                       : sources_->table(i).count(source);
  }
  return tally;
}

std::uint64_t Gate::own(Asking what, Source source) const {
  return what == Asking::for_place ? places_ : sources_->table(index_).count(source);
}

/// By adopted children and by older generations: it only falls.
std::uint64_t Gate::taken_elsewhere(Asking what, Source source) const {
  if (what == Asking::for_place)
    return pages_.all().back().book.accepted.get() + active_in(elders_);
  std::uint64_t taken = sources_->table(sources_->size() - 1).count(source);
  for (const auto& elder : elders_) {
    const auto& sources = elder->admission.sources;
    for (std::size_t i = 0; sources && i < sources->size(); ++i)
      taken += sources->table(i).count(source);
  }
  return taken;
}

Deadline Gate::look_again() const {
  if (rate_ && closing_ == Closing::no && !is_due())
    return Deadline::at(rate_->ready_at(Clock::now()));
  const bool others_make_room =
      deciders_ > 1 || !elders_.empty() || pages_.all().back().book.accepted.get() > 0;
  return others_make_room ? Deadline::after(room_poll) : Deadline::never();
}

void Gate::refuse(AcceptedClient client, Refusal reason) {
  const AccessRole role = forks_children(options_) ? AccessRole::acceptor : AccessRole::worker;
  book_ending(
      page_, [&] { return describe_arrival(client.peer, role, outcome_of(reason)); },
      [&] { page_.book.record(reason); });
  turn_away(client.socket.get());  // now, as who sees it may ask for the books at once
  note_refused(source_of(client.peer));
  if (is_first_for_long()) log_refusal(client.peer, reason);
}

/// Finds the source of most refusals, if one has more than half of them (Boyer and Moore, MJRTY: a
/// fast majority vote algorithm, 1981).
void Gate::note_refused(Source source) {
  MostRefused& most = page_.most_refused;
  const auto now = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
  if (now - most.since.get() > static_cast<std::uint64_t>(sys::Duration(quiet).count())) {
    most.since.set(now);
    most.votes.set(0);
  }
  const auto key = static_cast<std::uint64_t>(source);
  if (most.votes.get() == 0) most.source.set(key);
  most.votes.set(most.source.get() == key ? most.votes.get() + 1 : most.votes.get() - 1);
}

/// Over all processes: whoever is first says it.
bool Gate::is_first_for_long() const {
  if (!pages_.admission.words) return true;
  auto& quiet_until = (*pages_.admission.words)->quiet_until;
  const std::int64_t now = Clock::now().time_since_epoch().count();
  const std::int64_t until = now + sys::Duration(quiet).count();
  std::int64_t seen = quiet_until.load(std::memory_order_relaxed);
  // Not further ahead than we would write ourselves: else it is nonsense.
  const bool is_quiet = seen > now && seen <= until + sys::Duration(quiet).count();
  return quiet_until.compare_exchange_strong(seen, until, std::memory_order_relaxed) && !is_quiet;
}

void Gate::log_refusal(const PeerAddress& peer, Refusal reason) const {
  switch (reason) {
    case Refusal::full:
      return log::warning("refused {}: full, {} connections are open (see --max-connections)",
                          peer.to_string(), limit_);
    case Refusal::per_source:
      return log::warning("refused {}: per_source, it has {} connections (see --max-per-source)",
                          peer.to_string(), options_.admission.max_per_source);
    case Refusal::rate:
      return log::warning("refused {}: rate, more than {} connections a second (see --accept-rate)",
                          peer.to_string(), options_.admission.accept_rate);
    case Refusal::draining:
      return log::warning(
          "refused {}: draining, there was no room until the end (see "
          "--drain-timeout)",
          peer.to_string());
  }
}

}  // namespace forkecho::server
