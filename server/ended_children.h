// EndedChildren: finds those children of an acceptor that have ended, at a cost that does not grow
// with the number of those that live.
//
// To ask the kernel for any child that has ended makes it look at all (waitid walks the list of
// children: 0.3 ms with 10,000 of them, 3 ms with 25,000). To ask about one costs the same always.
// So whom to ask about is told by hints: the pid that comes with SIGCHLD, of which the kernel keeps
// one of many that come at once, and the notes that children leave where there are many
// (slot_table.h). A hint is believed when the kernel says the same. Who was killed may have left
// neither: so all are looked at now and then, for a small part of the time; and as long as that
// finds them quickly, since then many have been killed. While there are few children, all are
// looked at always, and notes are not needed.
//
// The acceptor alone uses it. Not for threads.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/mp/raw_shared.h"
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

  /// What a look at all may cost if it finds somebody: then it is no waste.
  static constexpr auto worth = std::chrono::microseconds(20);

  explicit EndedChildren(const SlotTable& slots)
      : slots_(slots), hints_(slots.size()), not_yet_(slots.size()) {}

  /// SIGCHLD came, and named `pid` (0: nobody).
  void signalled(pid_t pid);
  /// One that has ended and is not reaped; the caller reaps it before it asks for the next. Of
  /// `children` that live or are not reaped. Empty: none is known of, until the next signal or
  /// look_again().
  std::optional<mp::Exit> next(std::uint32_t children);
  /// Before the slot of somebody who was reaped is given to another (EndedNotes).
  void take_notes();
  /// At once, when the caller has not asked until nobody was known of.
  sys::Deadline look_again() const;

 private:
  /// Pids to ask about. Full, it forgets: a look at all finds them.
  class Hints {
   public:
    explicit Hints(std::size_t children) : pids_(children + named_at_once) {
      pids_.memory().keep_from_children();
    }
    void add(pid_t pid) {
      if (pid > 0 && count_ < pids_.size()) pids_[count_++] = pid;
    }
    pid_t take() { return count_ > 0 ? pids_[--count_] : 0; }
    void clear() { count_ = 0; }

   private:
    static constexpr std::size_t named_at_once = 64;  // by signals, beside the notes
    mp::RawArray<pid_t> pids_;
    std::size_t count_ = 0;
  };

  std::optional<mp::Exit> follow_hints();
  std::optional<mp::Exit> look_at_all();
  sys::Deadline all_are_due() const;

  const SlotTable& slots_;
  bool heard_ = false;  // a signal, since nobody was known of
  Hints hints_;
  Hints not_yet_;      // they were still on their way out
  bool owed_ = false;  // a look at all
  sys::Deadline due_ = sys::Deadline::never();
  sys::Deadline rest_until_ = sys::Deadline::immediately();
  sys::Duration wasted_{0};  // on such looks since the last rest
};

}  // namespace forkecho::server
