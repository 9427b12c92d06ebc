// Gate: admission for one process that accepts (acceptor, pool worker, event worker). It knows what
// this process has taken in, looks at what the others have, asks decide_admission and keeps the
// claims.
//
//   gate.before_accept()       admit: accept now. wait, pause: not before gate.look_again()
//   listener.accept()          nobody there: gate.nobody_came()
//   gate.decide(peer)          admit: serve it, then gate.ended(source). refuse: gate.refuse().
//                              wait, pause (of who blocks in accept alone): keep the client, and
//                              decide again at gate.look_again()
//
// Who accepts without blocking claims a place before it accepts, so that a client for whom there is
// none stays in the kernel's queue. No lock, no system call where the options are off; it never
// blocks, but for an instant when two processes claim the last place at once (claims.h).
#pragma once

#include <cstdint>
#include <optional>

#include "server/accept_rate.h"
#include "server/admission.h"
#include "server/claims.h"
#include "server/listener.h"
#include "server/process_context.h"
#include "server/source.h"

namespace forkecho::server {

enum class Accepting { blocks, polls };

class Gate {
 public:
  /// `limit` of connections over all processes; 0: it is kept by there being no more processes.
  Gate(const ProcessContext& context, Accepting accepting, std::uint64_t limit);

  Admission before_accept();
  /// Whether before_accept would let somebody in; claims nothing.
  bool is_open();
  void nobody_came();
  /// For a process that is forked ahead of its client: false when there is no place for it. It is
  /// given back by ended(Source::uncounted).
  bool claim_place();
  /// Of a client that was accepted; sets source() where it is admitted.
  Admission decide(const PeerAddress& peer);
  /// What the client just admitted is counted by, for ended().
  Source source() const { return source_; }
  /// Its connection, or its process, is gone.
  void ended(Source source);
  /// The client is told, booked, and now and then logged.
  void refuse(AcceptedClient client, Refusal reason);

  /// When a decision that was to wait or pause may be another; never: when a connection of our own
  /// ends.
  sys::Deadline look_again() const;
  void set_closing(Closing closing) { closing_ = closing; }
  /// Whether decide() must have back what it is told (ended with the right source).
  bool counts_sources() const { return sources_ != nullptr; }

 private:
  AdmissionFacts facts() const;
  bool elders_have_shut();
  bool is_due() const;
  Admission claim_place_and_token(AdmissionFacts known);
  std::uint64_t claim(Claims::Asking what, Source source, std::uint64_t limit);
  void announce(Claims::Asking what);
  bool take(Claims::Asking what, Source source);
  void give_back_place();
  void wait_for_those_before(Claims::Asking what, Source source, sys::Deadline patience) const;
  Tally look(Claims::Asking what, Source source) const;
  std::uint64_t own(Claims::Asking what, Source source) const;
  std::uint64_t taken_elsewhere(Claims::Asking what, Source source) const;
  void note_refused(Source source);
  bool is_first_for_long() const;
  void log_refusal(const PeerAddress& peer, Refusal reason) const;

  const Options& options_;
  const Elders& elders_;
  GenerationPages& pages_;
  ProcessPage& page_;
  const std::size_t index_;
  const std::size_t deciders_;  // processes of this generation that admit, this one included
  SourceTables* const sources_;
  std::optional<AcceptRate> rate_;
  const std::uint64_t limit_;
  const std::uint64_t most_each_;  // places that one process can have
  const bool claims_ahead_;
  bool elders_have_shut_ = false;
  std::uint32_t places_ = 0;
  Admission ahead_ = Admission::admit();  // what before_accept came to
  bool has_token_ = false;                // taken with it
  Source source_ = Source::uncounted;
  Closing closing_ = Closing::no;
};

}  // namespace forkecho::server
