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

/// Bytes that one connection, or one worker over its life, has moved.
struct Meter {
  Counter bytes_in;
  Counter bytes_out;
};

/// One line of the status page. 128 bytes, so that two never share a pair of cache lines.
struct alignas(128) Slot {
  std::atomic<pid_t> pid;
  std::atomic<SlotState> state;
  PeerAddress peer;
  Counter connections;
  Meter meter;
  std::atomic<std::int64_t> since_ns;  // when it entered this state, on the monotonic clock

  void enter(SlotState next) {
    since_ns.store(sys::Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    // Sequentially consistent: workers that enter at once and then count each other (the pool's
    // refusal) must not both overlook the other.
    state.store(next, std::memory_order_seq_cst);
  }
};
static_assert(sizeof(Slot) == 128);

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
  std::atomic<Door> door;
};
static_assert(sizeof(ProcessPage) == 4096);

/// All that the page's process has booked so far, the bytes of its own slot included.
BookTotals read_page(const ProcessPage& page);

}  // namespace forkecho::server
