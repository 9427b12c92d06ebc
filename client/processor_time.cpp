#include "client/processor_time.h"

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace forkecho::client {
namespace {

std::string text_of(const char* file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// "cpu3 user nice system idle iowait irq softirq steal …"
ProcessorUse use_of_line(std::istringstream& words) {
  constexpr int idle = 3;
  constexpr int iowait = 4;
  constexpr int steal = 7;  // what follows, a guest's time, is in the first two already
  ProcessorUse use;
  for (int column = 0; column <= steal; ++column) {
    std::uint64_t ticks = 0;
    if (!(words >> ticks)) break;
    use.all += ticks;
    if (column != idle && column != iowait) use.busy += ticks;
  }
  return use;
}

}  // namespace

ProcessorUse read_processor_use(std::string_view proc_stat, const cpu_set_t& allowed) {
  ProcessorUse sum;
  std::istringstream lines{std::string(proc_stat)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name.size() < 4 || name.rfind("cpu", 0) != 0) continue;
    if (!CPU_ISSET(std::stoul(name.substr(3)), &allowed)) continue;
    const ProcessorUse use = use_of_line(words);
    sum.busy += use.busy;
    sum.all += use.all;
  }
  return sum;
}

ProcessorUse processor_use() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {};
  return read_processor_use(text_of("/proc/stat"), allowed);
}

std::uint64_t time_waiting_for_processor_ns() {
  std::istringstream words(text_of("/proc/thread-self/schedstat"));
  std::uint64_t ran = 0;
  std::uint64_t waited = 0;
  words >> ran >> waited;
  return waited;
}

}  // namespace forkecho::client
