// The scoreboard: shared memory in which each process says what it does, for the status page.
//
// Nothing here is trusted by the supervisor or an acceptor: a process gone wrong can write nonsense
// into what it may write. They show it, bounded; what they decide by (which child is alive, how it
// ended) they know from the kernel and from tables of their own.
//
// Who writes: a ProcessPage, its process alone (the others have it read-only, and the children of
// an acceptor not at all). A Slot of the acceptor's array, the acceptor and then the child it is
// for.
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "common/sys/deadline.h"
#include "server/book.h"
#include "server/claims.h"
#include "server/fork_times.h"

namespace forkecho::server {

enum class SlotState : std::uint8_t { free, idle, serving };

/// The address of a client, small enough for a slot. Torn when read during a write; shown only.
struct PeerAddress {
  std::uint16_t family;
  std::uint16_t port;  // network byte order
  std::uint8_t address[16];

  static PeerAddress of(const sockaddr_storage& storage);
  /// "[IPV6]:PORT" with the longest IPv6 text, without a terminating zero.
  static constexpr std::size_t longest_text = INET6_ADDRSTRLEN + 8;
  /// Writes "10.0.0.7:40112", "[::1]:40112" or "unix:" and returns its length. No allocation.
  std::size_t format(std::span<char, longest_text> out) const;
  std::string to_string() const;
};

struct MeterReading {
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

/// Bytes that one connection, or one worker over its life, has moved.
struct Meter {
  Counter bytes_in;
  Counter bytes_out;

  MeterReading read() const { return {.bytes_in = bytes_in.get(), .bytes_out = bytes_out.get()}; }
};

/// One line of the status page. 128 bytes, so that two never share a pair of cache lines.
struct alignas(128) Slot {
  std::atomic<pid_t> pid;
  std::atomic<SlotState> state;
  PeerAddress peer;
  Counter connections;
  Meter meter;
  std::atomic<std::int64_t> since_ns;       // when it entered this state, on the monotonic clock
  std::atomic<std::uint32_t> ended_before;  // a link of EndedNotes (slot_table.h)

  void enter(SlotState next) {
    since_ns.store(sys::Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    // Sequentially consistent: workers that enter at once and then count each other (the pool's
    // refusal) must not both overlook the other.
    state.store(next, std::memory_order_seq_cst);
  }
};
static_assert(sizeof(Slot) == 128);

/// How a connection ended, as the access log says it: an Ending, a Refusal, or no child for it.
enum class AccessOutcome : std::uint8_t {
  served,
  first_byte_timeout,
  idle_timeout,
  write_timeout,
  lifetime_timeout,
  drain_timeout,
  crashed,
  refused_full,
  refused_per_source,
  refused_rate,
  refused_draining,
  fork_failed,
};

/// Who served it, or turned it away.
enum class AccessRole : std::uint8_t { child, worker, acceptor };

/// What a line of the access log says.
struct AccessEntry {
  PeerAddress peer;  // family 0: nobody knows
  pid_t pid;
  std::int64_t started_ns;  // since 1970
  std::int64_t duration_ns;
  std::uint64_t bytes_in;
  std::uint64_t bytes_out;
  AccessRole role;
  AccessOutcome outcome;
};

/// A process's notes for the access log, so that a kill between book and line loses no line
/// (access_log.h). The process writes `last` before it books an ending, and `settled` after its
/// line.
struct AccessJournal {
  AccessEntry last;
  Counter settled;            // endings in the book whose line is written, or lost
  MeterReading meter_before;  // a worker's slot at the beginning of its connection
};

/// An acceptor's note of the child that it is about to book and to reap, so that a kill between the
/// two neither loses nor doubles what the child's connection came to: what is not booked yet the
/// supervisor books, who reaps the child then.
struct Reaping {
  std::atomic<pid_t> pid;  // 0: none
  // What the book showed before.
  Counter ended;
  Counter bytes_in;
  Counter bytes_out;

  void begin(pid_t child, const Book& book) {
    const BookTotals before = book.read();
    ended.set(before.ended());
    bytes_in.set(before.bytes_in);
    bytes_out.set(before.bytes_out);
    pid.store(child, std::memory_order_release);
  }
  void end() { pid.store(0, std::memory_order_release); }
};

/// Whether a process takes connections in. Told to those who share a limit with it (elders.h).
enum class Door : std::uint8_t {
  unopened,  // it has not settled in yet; or nobody is there
  open,
  shut,  // it was told to retire: whom it has it serves, and takes in nobody more
};

/// What an acceptor or a worker writes: a page, because memory is protected by pages.
struct alignas(4096) ProcessPage {
  Book book;
  Slot slot;
  ForkTimes fork_times;                 // an acceptor's
  std::atomic<std::uint64_t> log_lost;  // lines of this process that could not be written
  Counter access_log_lost;              // the same
  AccessJournal journal;
  Reaping reaping;
  std::atomic<Door> door;
  Claims claims;
  MostRefused most_refused;
};
static_assert(sizeof(ProcessPage) == 4096);

/// All that the page's process has booked so far, the bytes of its own slot and its forks included.
BookTotals read_page(const ProcessPage& page);

}  // namespace forkecho::server
