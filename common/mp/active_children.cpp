#include "common/mp/active_children.h"

#include "common/mp/child_registry.h"
#include "common/mp/reap.h"

namespace forkecho::mp {
namespace {

std::vector<ActiveChild> registered_children() {
  const RegistryGuard guard;
  std::vector<ActiveChild> all;
  for (const auto& record : ChildRegistry::unreaped())
    all.push_back({record->pid, record->identity.name, record->identity.daemon});
  return all;
}

}  // namespace

std::vector<ActiveChild> active_children() {
  for (const ActiveChild& child : registered_children()) reap_one(child.pid);
  return registered_children();
}

}  // namespace forkecho::mp
