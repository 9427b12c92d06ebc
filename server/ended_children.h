// EndedChildren: finds those children of an acceptor that have ended, at a cost that does not grow
// with the number of those that live.
//
// To ask the kernel for any child that has ended makes it look at all (waitid walks the list of
// children: 0.3 ms with 10,000 of them, 3 ms with 25,000). To ask about one costs the same always.
// So whom to ask about is told by hints: the pid that comes with SIGCHLD, of which the kernel keeps
// one of many that come at once, and the notes that children leave where there are many
// (slot_table.h). A hint is believed when the kernel says the same. Who was killed may have left
// neither: so all are looked at now and then, for a small part of the time. While there are few
// children, all are looked at always, and notes are not needed.
//
// The acceptor alone uses it. Not for threads.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>

#include "common/mp/reap.h"
#include "common/sys/deadline.h"
#include "server/slot_table.h"

namespace forkecho::server {

class EndedChildren {
 public:
  /// A look at so many (some 8 us) costs no more than notes and hints do: those who were noted, and
  /// are not over yet, are asked about again.
  static constexpr std::uint32_t few = 256;
  /// Where many live, all of them are looked at for one part in so many of the time at most.
  static constexpr int share = 50;
  /// And for those who went unnoticed, as often as this.
  static constexpr auto unnoticed = std::chrono::milliseconds(100);

  explicit EndedChildren(EndedNotes& notes) : notes_(notes) {}

  /// SIGCHLD came, and named `pid` (0: nobody).
  void signalled(pid_t pid);
  /// One that has ended and is not reaped; the caller reaps it before it asks for the next. Of
  /// `children` that live or are not reaped. Empty: none is known of, until the next signal or
  /// look_again().
  std::optional<mp::Exit> next(std::uint32_t children);
  sys::Deadline look_again() const;

 private:
  /// Pids to ask about. Full, it forgets: a look at all finds them.
  class Hints {
   public:
    void add(pid_t pid) {
      if (count_ < pids_.size()) pids_[count_++] = pid;
    }
    pid_t take() { return count_ > 0 ? pids_[--count_] : 0; }
    void clear() { count_ = 0; }

   private:
    std::array<pid_t, EndedNotes::places> pids_;
    std::size_t count_ = 0;
  };

  void take_notes();
  std::optional<mp::Exit> follow_hints();
  std::optional<mp::Exit> look_at_all();

  EndedNotes& notes_;
  std::uint32_t notes_read_ = 0;
  bool heard_ = false;  // a signal, since nobody was known of
  Hints hints_;
  Hints not_yet_;      // they were still on their way out
  bool owed_ = false;  // a look at all
  sys::Deadline due_ = sys::Deadline::never();
  sys::Deadline rest_until_ = sys::Deadline::immediately();
  sys::Duration spent_{0};  // on such looks since the last rest
};

}  // namespace forkecho::server
