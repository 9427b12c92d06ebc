// SourceTable: how many connections each source has in one process. In shared memory; that process
// alone writes, all who decide on admissions read it at any time, without a lock.
//
// Open addressing with linear probing in which nothing ever moves and nothing is marked as deleted:
// each place counts how many living keys were put beyond it (`passed`), and a search ends where
// that is zero (the idea of the overflow counts of Facebook's F14 tables). So a reader cannot miss
// a key whose addition was complete before it began to look, whatever goes on meanwhile; it can at
// worst count one that is just leaving. A writer killed at any instruction leaves a table that
// readers can go on reading, with counts that are at most too high, until the supervisor clears it.
//
// The hash has a secret seed, so that nobody can choose addresses that collide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/mp/raw_shared.h"
#include "server/source.h"

namespace forkecho::server {

class SourceTable {
 public:
  /// Trivial, so that memory which is never touched costs nothing. All zero: empty.
  struct Entry {
    std::uint64_t key;
    std::uint32_t count;   // 0: the place is free
    std::uint32_t passed;  // living keys that belong here or before, and lie beyond
  };

  /// `entries`: a power of two, at least twice as many as keys that may be there at once.
  SourceTable(std::span<Entry> entries, std::uint64_t seed) : entries_(entries), seed_(seed) {}

  /// The writer's. False when there is no place left for another key.
  bool add(Source source);
  /// The writer's. One that is not there: nothing happens.
  void remove(Source source);
  /// Anybody's.
  std::uint32_t count(Source source) const;

 private:
  static constexpr std::size_t none = ~std::size_t{0};
  std::size_t home(std::uint64_t key) const;
  std::size_t next(std::size_t index) const { return (index + 1) & (entries_.size() - 1); }
  std::size_t find(std::uint64_t key) const;
  void pass(std::size_t from, std::size_t to, std::uint32_t step);

  std::span<Entry> entries_;
  std::uint64_t seed_;
};

/// The tables of all processes of a generation; whole pages for each, because memory is protected
/// by pages. Made by the supervisor before they are forked.
class SourceTables {
 public:
  /// `count` tables, each for `connections` at once. Throws std::system_error.
  SourceTables(std::size_t count, std::size_t connections);

  std::size_t size() const { return count_; }
  SourceTable table(std::size_t index) const;
  /// The supervisor's, when the process of table `index` is gone.
  void clear(std::size_t index);
  /// The calling process can write to no table but `index`, if any.
  void protect_all_but(std::optional<std::size_t> index);
  void keep_from_children() { entries_.memory().keep_from_children(); }

 private:
  std::size_t count_;
  std::size_t places_;  // in each table
  std::uint64_t seed_;
  mp::RawArray<SourceTable::Entry> entries_;
};

}  // namespace forkecho::server
