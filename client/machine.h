// What a run was measured on: a figure without its machine is not one.
#pragma once

#include <cstdint>
#include <string>

namespace forkecho::client {

struct Machine {
  std::string processor;    // the model's name as the kernel tells it; "unknown" where it does not
  unsigned processors = 0;  // that the calling process may run on
  std::uint64_t memory_bytes = 0;
  std::string kernel;  // "Linux 6.1.0"
};

/// Of the machine it is called on. Never fails: what cannot be found is "unknown" or 0.
Machine this_machine();

}  // namespace forkecho::client
