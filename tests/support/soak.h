// How long a test is. Tests that gain from more rounds, more connections or more time ask soak()
// for the number: `./dev test` runs the normal form, `./dev soak` (FORKECHO_SOAK set in the
// environment) the longer one, without the time limit of the normal form.
#pragma once

#include <cstdlib>

namespace forkecho::tests {

/// `normal`, or `longer` in a soak.
inline int soak(int normal, int longer) {
  return std::getenv("FORKECHO_SOAK") == nullptr ? normal : longer;
}

}  // namespace forkecho::tests
