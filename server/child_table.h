// ChildTable: the acceptor's own record of which child serves from which slot. From this table, not
// from the scoreboard, it decides whom to signal and whom to count.
//
// It lies in memory that no other process has: mapped shared, so that a fork does not mark it
// copy-on-write (every write after a fork would fault), and kept from children. Not for threads.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "common/mp/raw_shared.h"

namespace forkecho::server {

class ChildTable {
 public:
  /// Room for `capacity` children at once (at least 1).
  explicit ChildTable(std::uint32_t capacity);

  std::uint32_t size() const { return size_; }
  /// Takes a free slot; the one given back last comes first, so that few pages are touched.
  /// Precondition: size() + slots taken and not yet inserted < capacity.
  std::uint32_t take_slot();
  void give_back(std::uint32_t slot);

  /// Child `pid` (> 0, not in the table) serves from `slot`.
  void insert(pid_t pid, std::uint32_t slot);
  /// Forgets `pid` and returns its slot (not given back yet); empty when it is no child of the
  /// table.
  std::optional<std::uint32_t> remove(pid_t pid);
  void for_each_pid(const std::function<void(pid_t)>& visit) const;
  void for_each(const std::function<void(pid_t, std::uint32_t slot)>& visit) const;

 private:
  struct Entry {
    pid_t pid;  // 0: empty
    std::uint32_t slot;
  };
  std::uint32_t home(pid_t pid) const {
    return (static_cast<std::uint32_t>(pid) * 2654435769U) >> shift_;
  }
  std::uint32_t next(std::uint32_t index) const { return (index + 1) & mask_; }
  std::uint32_t find(pid_t pid) const;
  void close_gap(std::uint32_t gap);

  std::uint32_t mask_;
  unsigned shift_;
  std::uint32_t size_ = 0;
  std::uint32_t free_count_ = 0;
  std::uint32_t fresh_ = 0;                 // from here on slots were never taken
  mp::RawArray<Entry> entries_;             // open addressing, linear probing, at most half full
  mp::RawArray<std::uint32_t> free_slots_;  // a stack
};

}  // namespace forkecho::server
