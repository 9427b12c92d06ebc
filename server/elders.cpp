#include "server/elders.h"

#include <algorithm>

namespace forkecho::server {
namespace {

bool may_accept(const GenerationPages& pages) {
  const auto all = pages.all();
  if (!all.empty() && all.back().door.load(std::memory_order_acquire) == Door::shut) return false;
  return std::any_of(all.begin(), all.end(), [](const ProcessPage& page) {
    return page.door.load(std::memory_order_acquire) == Door::open;
  });
}

}  // namespace

std::uint64_t active_in(const GenerationPages& pages) {
  std::uint64_t active = 0;
  for (const ProcessPage& page : pages.all()) active += page.book.read().active();
  return active;
}

std::uint64_t active_in(const Elders& elders) {
  std::uint64_t active = 0;
  for (const auto& pages : elders) active += active_in(*pages);
  return active;
}

bool still_accept(const Elders& elders) {
  return std::any_of(elders.begin(), elders.end(),
                     [](const auto& pages) { return may_accept(*pages); });
}

}  // namespace forkecho::server
