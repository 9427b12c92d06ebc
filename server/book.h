// Book: what became of every connection. Each process that accepts keeps one, in a page of shared
// memory that it alone writes and the supervisor reads; when the process is gone, the supervisor
// closes its book into the totals.
//
// The identity: at rest, accepted = ended(book). A connection enters `accepted` before it can enter
// any of its endings, so that at every moment accepted >= ended, also after a kill between the two.
// What a dead process left open was lost with it: it is counted as crashed.
//
// One writer; relaxed atomics: a reader sees each figure whole, and each only grows. The writer's
// increments of `accepted` are ordered before those of the endings (release), and a reader takes
// the endings first (acquire), so that a snapshot never shows more endings than connections.
#pragma once

#include <array>
#include <cstdint>

#include "server/counter.h"
#include "server/fork_times.h"

namespace forkecho::server {

/// How a connection ended. The values are also the exit codes of a child that served one.
enum class Ending : int {
  served = 0,  // by the client's end or reset
  first_byte_timeout = 100,
  idle_timeout,
  write_timeout,
  lifetime_timeout,
  drain_timeout,
  crashed,  // the process serving it was killed, or failed
};

/// Exit code of a worker that was forked ahead and left without a client.
inline constexpr int unused_spare = 120;

/// Whether a child that was forked ahead, and of which nobody knows a client, had one, by its exit
/// code and by whether it said that it serves.
bool had_client(int exitcode, bool said_so);

enum class Refusal : int { full, per_source, rate, draining };

struct BookTotals {
  std::uint64_t accepted = 0;
  std::uint64_t served = 0;
  std::array<std::uint64_t, 4> refused{};    // by Refusal
  std::array<std::uint64_t, 5> timed_out{};  // first_byte, idle, write, lifetime, drain
  std::uint64_t fork_failed = 0;
  std::uint64_t crashed = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t forked = 0;  // children that serve a connection; an acceptor's
  std::uint64_t reaped = 0;
  // Kept beside the book, and summed with it.
  ForkTimeTotals fork_times = {};  // of those forks
  std::uint64_t log_lost = 0;      // lines that could not be written
  std::uint64_t access_log_lost = 0;

  /// Connections that are over, however they ended.
  std::uint64_t ended() const {
    std::uint64_t sum = served + fork_failed + crashed;
    for (const auto count : refused) sum += count;
    for (const auto count : timed_out) sum += count;
    return sum;
  }
  std::uint64_t active() const { return accepted > ended() ? accepted - ended() : 0; }

  void add_ending(Ending ending);
  BookTotals& operator+=(const BookTotals& other);
};

struct Book {
  Counter accepted;
  Counter served;
  std::array<Counter, 4> refused;
  std::array<Counter, 5> timed_out;
  Counter fork_failed;
  Counter crashed;
  Counter bytes_in;
  Counter bytes_out;
  Counter forked;
  Counter reaped;

  void record(Ending ending);
  void record(Refusal refusal) { refused[static_cast<std::size_t>(refusal)].add(1); }
  BookTotals read() const;

 private:
  BookTotals read_once() const;
};

/// The ending that exit code `exitcode` (Python's: -N for signal N) of a serving child stands for.
Ending ending_of_exitcode(int exitcode);

}  // namespace forkecho::server
