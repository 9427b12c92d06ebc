// Names of files that many processes on many machines are told alike: "{host}" in them stands for
// the machine's name, or the container's.
#pragma once

#include <string>

namespace forkecho::sys {

/// `name` with the first "{host}" replaced. Throws std::system_error.
std::string with_host_name(std::string name);

}  // namespace forkecho::sys
