// Claims: how processes that decide by themselves keep a limit together, exactly and without a
// lock.
//
// Each process has a word that it alone writes: how many it has, and whether it is asking for one
// more. To take one, it raises its asking and then looks at the words of all. Of two that ask at
// once at least one sees the other, so that together they never take more than there is:
//
//   there is room for everyone who asks   -> taken
//   there is none, whoever asks           -> full
//   there is, but not for all who ask     -> contested: who sits behind another that asks takes its
//                                            asking back until that one is done; the first looks
//                                            again until those behind it have done so
//
// Killed at any instruction, a process leaves at most one more than it had; the supervisor clears
// its page when it reaps it. One that was stopped while asking counts for one connection.
#pragma once

#include <atomic>
#include <cstdint>

#include "server/book.h"

namespace forkecho::server {

/// What a process tells the others. In its ProcessPage.
struct Claims {
  enum class Asking : std::uint32_t { no, for_place, for_source };

  /// Places and asking in one word: who reads it sees one become the other in one step.
  std::atomic<std::uint64_t> word;
  std::atomic<std::uint64_t> source;  // asked for

  /// The writer's. Sequentially consistent: see the head of this file.
  void set(std::uint32_t places, Asking asking) {
    word.store(std::uint64_t{static_cast<std::uint32_t>(asking)} << 32 | places,
               std::memory_order_seq_cst);
  }
  static std::uint32_t places(std::uint64_t word) { return static_cast<std::uint32_t>(word); }
  static Asking asking(std::uint64_t word) { return static_cast<Asking>(word >> 32); }
};

/// Who is refused most by a process, for the log. In its ProcessPage.
struct MostRefused {
  Counter source;
  Counter votes;
  Counter since;  // ns on the monotonic clock: when these votes began
};

/// What a look at the words of all has shown, the own asking not included.
struct Tally {
  std::uint64_t taken = 0;
  std::uint64_t asking_before = 0;  // by processes that go first
  std::uint64_t asking_behind = 0;
};

enum class Room {
  yes,
  none,
  contested_yield,  // take the asking back, and ask again when those before are done
  contested_stay,   // keep asking, and look again
};

constexpr Room decide_room(const Tally& tally, std::uint64_t limit) {
  if (tally.taken >= limit) return Room::none;
  if (tally.taken + tally.asking_before + tally.asking_behind < limit) return Room::yes;
  return tally.asking_before > 0 ? Room::contested_yield : Room::contested_stay;
}

}  // namespace forkecho::server
