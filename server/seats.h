// Seats: the places of a process tree's acceptors or workers, who sits in which, and what is read
// of the page that each writes.
//
// The process tree alone uses it: it puts processes into seats and takes them out; here is only
// looked. Who sits somewhere is what the tree knows from the kernel; what a page says is for
// figures, and believed within bounds (believed_book.h). Not for threads.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/mp/process.h"
#include "common/sys/deadline.h"
#include "server/believed_book.h"
#include "server/book.h"
#include "server/elders.h"
#include "server/options.h"
#include "server/scoreboard.h"
#include "server/slot_table.h"

namespace forkecho::server {

/// A place for one acceptor or worker.
struct Seat {
  std::optional<mp::Process> process;
  pid_t pid = 0;  // 0: nobody sits here
  bool retiring = false;
  bool passes = false;  // for the acceptor of --accept passing, which serves nobody
  sys::Deadline evict_at = sys::Deadline::never();  // leaves by then, or is killed
  sys::Clock::time_point started{};
  std::unique_ptr<SlotTable> slots;  // an acceptor's
  mutable BelievedBook book;         // of its page: looking is believing
};

/// What `status` shows of an acceptor. Its figures are those since it was started.
struct AcceptorView {
  unsigned number = 1;  // of its place, from 1: whoever replaces it has the same
  pid_t pid = 0;
  std::uint64_t accepted = 0;
  std::uint64_t active = 0;
  std::uint64_t children = 0;  // not reaped yet
};

class Seats {
 public:
  /// `count` seats, at least 1, and one more for the acceptor that passes, if there is one.
  Seats(std::shared_ptr<const Options> options, std::size_t count, bool has_passer);

  std::span<Seat> all() { return seats_; }
  std::span<const Seat> all() const { return seats_; }
  std::size_t size() const { return seats_.size(); }
  /// Of those who serve.
  unsigned places() const { return static_cast<unsigned>(seats_.size() - (has_passer_ ? 1 : 0)); }
  Seat& passer() { return seats_.back(); }
  const Seat& passer() const { return seats_.back(); }
  /// A page for each seat, and the supervisor's.
  const std::shared_ptr<GenerationPages>& pages() const { return pages_; }

  /// Null: nobody of that pid sits here.
  Seat* of(pid_t pid);
  /// One for somebody who serves; null: all are taken.
  Seat* find_free();
  /// How many sit here and may serve.
  unsigned seated() const;
  bool nobody_sits() const;
  std::size_t index_of(const Seat& seat) const {
    return static_cast<std::size_t>(&seat - seats_.data());
  }

  ProcessPage& page_of(const Seat& seat) const { return (*pages_)[index_of(seat)]; }
  /// Somebody who has settled in and accepts.
  bool is_open(const Seat& seat) const;
  bool is_serving(const Seat& seat) const;
  /// What is believed of the page of whoever sits there.
  const BookTotals& book_of(const Seat& seat) const;
  /// It has had a client; or lived as long as the first pause would be, and cannot make us spin.
  bool has_proved_itself(const Seat& seat) const;
  /// Another than `dead`, of its kind, lives and has proved itself.
  bool others_are_well(const Seat& dead) const;

  /// The sum over those who sit here, as the three below.
  BookTotals totals() const;
  /// How many processes serve; by what they say.
  unsigned busy() const;
  /// Connections that each worker has taken; empty where a process serves only one.
  std::vector<std::uint64_t> served_by_each() const;
  std::vector<AcceptorView> acceptors() const;
  /// One that serves; and has settled in, if there is one. 0: nobody is there.
  pid_t someone_who_serves() const;
  /// Calls `visit` for at most `most` slots in use; returns how many more are in use.
  std::uint64_t visit_slots(std::uint64_t most,
                            const std::function<void(const Slot&)>& visit) const;

 private:
  std::shared_ptr<const Options> options_;
  bool has_passer_;
  std::vector<Seat> seats_;
  std::shared_ptr<GenerationPages> pages_;
};

}  // namespace forkecho::server
