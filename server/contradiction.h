// Which options contradict each other, or what this machine or its user can do: told before
// anything is started. Pure, but for the names that find_unusable looks up.
#pragma once

#include <string>

#include "server/options.h"

namespace forkecho::server {

/// What contradicts what, as one line for the user; empty when nothing does.
std::string find_contradiction(const Options& options);

/// What cannot be used though it is well formed: an address that leads nowhere, or one that is
/// there twice. Asks the resolver. Empty when all can.
std::string find_unusable(const Options& options);

}  // namespace forkecho::server
