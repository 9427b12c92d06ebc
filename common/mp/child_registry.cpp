#include "common/mp/child_registry.h"

#include <algorithm>

namespace forkecho::mp {
namespace {

[[gnu::hot]] std::vector<std::shared_ptr<ChildRecord>>& records() {
  static std::vector<std::shared_ptr<ChildRecord>> all;
  return all;
}

}  // namespace

void ChildRegistry::add(std::shared_ptr<ChildRecord> record) {
  records().push_back(std::move(record));
}

void ChildRegistry::deliver(pid_t pid, int exitcode) {
  auto& all = records();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& r) { return r->pid == pid; });
  if (found == all.end()) return;
  (*found)->exitcode = exitcode;
  all.erase(found);
}

std::vector<std::shared_ptr<ChildRecord>> ChildRegistry::unreaped() {
  return records();
}

[[gnu::hot]] void ChildRegistry::forget_parents_children() {
  if (!records().empty()) records().clear();
}

}  // namespace forkecho::mp
