#include "client/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "common/mp/cpu_count.h"

namespace forkecho::client {
namespace {

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos)
      return line.substr(colon + 2);
  }
  return "unknown";
}

std::uint64_t memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0
             ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size)
             : 0;
}

std::string kernel_name() {
  utsname name{};
  return uname(&name) == 0 ? std::string(name.sysname) + ' ' + name.release : "unknown";
}

}  // namespace

Machine this_machine() {
  return {.processor = processor_name(),
          .processors = mp::cpu_count(),
          .memory_bytes = memory_bytes(),
          .kernel = kernel_name()};
}

}  // namespace forkecho::client
