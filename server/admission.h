// Admission: may a connection come in? A pure decision, taken by whoever accepts, before anything
// is forked; twice for each connection where clients may wait: before it is accepted, when nothing
// is known of its source, and after. gate.h gathers the facts and acts.
#pragma once

#include <cstdint>

#include "server/book.h"
#include "server/options.h"

namespace forkecho::server {

/// How far the daemon is on its way to its end.
enum class Closing {
  no,
  draining,   // the queue is emptied: the accept rate no longer holds
  last_call,  // the end is near: nobody waits any more
};

struct AdmissionFacts {
  std::uint64_t active = 0;  // connections being served, over all processes
  std::uint64_t limit = 0;   // of them; 0: others see to it
  std::uint64_t source_active = 0;
  std::uint64_t source_limit = 0;  // 0: off, or the source is not known yet
  bool exempt = false;             // in --exempt
  bool rate_allows = true;         // --accept-rate; true where that is off
  WhenFull when_full = WhenFull::wait;
  Closing closing = Closing::no;
};

struct Admission {
  enum class Verdict {
    admit,
    wait,    // until a connection ends
    pause,   // until the accept rate allows the next
    refuse,  // accept it, close it in order, count it
  };
  Verdict verdict;
  Refusal reason{};  // of refuse
  bool operator==(const Admission&) const = default;

  static constexpr Admission admit() { return {Verdict::admit}; }
  static constexpr Admission refuse(Refusal reason) { return {Verdict::refuse, reason}; }
};

/// Its own source's fault comes first, so that a flood neither waits nor makes others wait. A
/// source over its limit is refused also where clients may wait: it would hold up the queue for
/// all.
constexpr Admission decide_admission(const AdmissionFacts& facts) {
  if (facts.source_limit != 0 && !facts.exempt && facts.source_active >= facts.source_limit)
    return Admission::refuse(Refusal::per_source);
  const bool refuses = facts.when_full == WhenFull::refuse;
  if (facts.limit != 0 && facts.active >= facts.limit) {
    if (refuses) return Admission::refuse(Refusal::full);
    if (facts.closing == Closing::last_call) return Admission::refuse(Refusal::draining);
    return {Admission::Verdict::wait};
  }
  if (!facts.rate_allows && facts.closing == Closing::no) {
    if (!refuses) return {Admission::Verdict::pause};
    if (!facts.exempt) return Admission::refuse(Refusal::rate);
  }
  return Admission::admit();
}

}  // namespace forkecho::server
