// active_children: who was started as a Process by the calling process and runs still.
//
// Safe between threads. Reaps those that have ended, as join does.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace forkecho::mp {

struct ActiveChild {
  pid_t pid;
  std::string name;
  bool daemon;
};

/// In the order of their start; also those whose Process object is gone.
std::vector<ActiveChild> active_children();

}  // namespace forkecho::mp
