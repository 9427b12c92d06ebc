#include "common/mp/child_registry.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "common/mp/reap.h"

namespace forkecho::mp {
namespace {

using Records = std::vector<std::shared_ptr<ChildRecord>>;

// Made before anything runs, so that a child finds them without a guard of their making.
constinit Records records;
constinit Records ancestors_records;

}  // namespace

std::mutex& RegistryGuard::mutex() {
  static std::mutex mutex;
  return mutex;
}

int signal_child(const ChildRecord& record, int number) {
  const RegistryGuard guard;
  if (record.exitcode) return ESRCH;
  return ::kill(record.pid, number) == 0 ? 0 : errno;
}

void ChildRegistry::add(std::shared_ptr<ChildRecord> record) {
  records.push_back(std::move(record));
}

void ChildRegistry::drop_latest() {
  records.pop_back();
}

bool ChildRegistry::deliver(pid_t pid, int exitcode) {
  auto& all = records;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& r) { return r->pid == pid; });
  if (found == all.end()) return false;
  (*found)->exitcode = exitcode;
  (*found)->lifeline.reset();
  all.erase(found);
  return true;
}

[[gnu::hot]] void ChildRegistry::lose(pid_t pid) {
  while (deliver(pid, exit_unknown)) continue;
}

std::vector<std::shared_ptr<ChildRecord>> ChildRegistry::unreaped() {
  return records;
}

[[gnu::hot]] bool ChildRegistry::any() {
  const RegistryGuard guard;
  return !records.empty();
}

[[gnu::hot]] void ChildRegistry::forget_parents_children() {
  if (records.empty()) return;
  for (const auto& record : records) {
    if (record->lifeline) record->lifeline.reset();  // else not even written: it is a page to copy
  }
  // Kept as they are: to destroy them would touch, and so copy, pages of the parent's heap; and the
  // child's own identity is in one of them.
  if (ancestors_records.empty()) {
    ancestors_records.swap(records);
  } else {
    ancestors_records.insert(ancestors_records.end(), records.begin(), records.end());
    records.clear();
  }
}

}  // namespace forkecho::mp
