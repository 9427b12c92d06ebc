// Requests and the right replies to them, made together. Called once before the workers are forked.
// Pure functions.
//
// Replies that follow each other differ in their first byte, so that a server that answers twice,
// or late, cannot pass an old reply off as the next one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "client/load_plan.h"

namespace forkecho::client {

struct Exchange {
  std::string request;
  std::string reply;
};

/// `count` exchanges whose requests have `size` bytes each and end on a character's boundary. The
/// same ones at every call. `size` is at least 1. What Unicode's uppercase is, Python has said
/// (unicode_pairs.h); no mapping of our own is used.
std::vector<Exchange> make_exchanges(Payload payload, Expect expect, std::size_t size,
                                     std::size_t count);

/// The exchanges for a plan: enough of them to tell a reply from the one before, within 64 MiB
/// where that is possible.
std::vector<Exchange> make_exchanges(const LoadPlan& plan);

}  // namespace forkecho::client
