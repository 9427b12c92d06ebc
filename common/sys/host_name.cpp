#include "common/sys/host_name.h"

#include <unistd.h>

#include <array>

#include "common/sys/check_syscall.h"

namespace forkecho::sys {

std::string with_host_name(std::string name) {
  constexpr std::string_view mark = "{host}";
  const std::size_t at = name.find(mark);
  if (at == name.npos) return name;
  std::array<char, 256> host{};  // longer than HOST_NAME_MAX
  check_syscall(gethostname(host.data(), host.size() - 1), "gethostname");
  return name.replace(at, mark.size(), host.data());
}

}  // namespace forkecho::sys
