// Admission: may the connection at the head of the queue come in? A pure decision, taken by whoever
// accepts, before anything is forked.
#pragma once

#include <cstdint>

#include "server/options.h"

namespace forkecho::server {

enum class Admission {
  admit,
  wait,         // leave it in the kernel's backlog until a connection ends
  refuse_full,  // accept it and close it
};

/// `active` connections are being served, of at most `limit`.
constexpr Admission decide_admission(std::uint64_t active, std::uint64_t limit,
                                     WhenFull when_full) {
  if (active < limit) return Admission::admit;
  return when_full == WhenFull::wait ? Admission::wait : Admission::refuse_full;
}

/// The part of `limit` that process `index` of `count` may use, when each counts for itself: the
/// parts differ by at most one and sum up to the limit.
constexpr std::uint64_t share_of_limit(std::uint64_t limit, unsigned index, unsigned count) {
  return limit / count + (index < limit % count ? 1 : 0);
}

}  // namespace forkecho::server
