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

/// Exchanges whose requests have these sizes in bytes and, unless they are random, end on a
/// character's boundary. The same ones at every call. A size is at least 1. What Unicode's
/// uppercase is, Python has said (unicode_pairs.h); no mapping of our own is used.
std::vector<Exchange> make_exchanges(Payload payload, Expect expect,
                                     const std::vector<std::size_t>& sizes);

/// The exchanges for a plan: enough of them to tell a reply from the one before, within 64 MiB
/// where that is possible, and to have the sizes in their proportions.
std::vector<Exchange> make_exchanges(const LoadPlan& plan);

}  // namespace forkecho::client
