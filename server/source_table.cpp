#include "server/source_table.h"

#include <sys/mman.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "common/sys/check_syscall.h"

namespace forkecho::server {
namespace {

/// Sequentially consistent: of two processes that count a connection each and then look at each
/// other, at least one sees the other.
template <typename T>
T load(T& place) {
  return std::atomic_ref<T>(place).load(std::memory_order_seq_cst);
}
template <typename T>
void store(T& place, T value) {
  std::atomic_ref<T>(place).store(value, std::memory_order_seq_cst);
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  sys::check_syscall(static_cast<int>(getrandom(&seed, sizeof seed, 0)), "getrandom");
  return seed;
}

/// Whole pages, and a power of two for the mask.
std::size_t places_for(std::size_t connections) {
  return std::max(std::bit_ceil(2 * connections), mp::page_size() / sizeof(SourceTable::Entry));
}

}  // namespace

/// The finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
/// OOPSLA 2014), once more over the seed.
std::size_t SourceTable::home(std::uint64_t key) const {
  std::uint64_t mixed = key ^ seed_;
  for (int round = 0; round < 2; ++round) {
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    mixed = (mixed ^ (mixed >> 31)) + seed_;
  }
  return mixed & (entries_.size() - 1);
}

std::size_t SourceTable::find(std::uint64_t key) const {
  std::size_t index = home(key);
  for (std::size_t steps = 0; steps < entries_.size(); ++steps, index = next(index)) {
    Entry& entry = entries_[index];
    if (load(entry.count) != 0 && load(entry.key) == key) return index;
    if (load(entry.passed) == 0) return none;
  }
  return none;
}

void SourceTable::pass(std::size_t from, std::size_t to, std::uint32_t step) {
  for (std::size_t i = from; i != to; i = next(i)) {
    store(entries_[i].passed, entries_[i].passed + step);
  }
}

bool SourceTable::add(Source source) {
  const auto key = static_cast<std::uint64_t>(source);
  std::size_t index = find(key);
  if (index == none) {
    const std::size_t first = home(key);
    index = first;
    for (std::size_t steps = 0; entries_[index].count != 0; index = next(index)) {
      if (++steps == entries_.size()) return false;
    }
    pass(first, index, 1);
    store(entries_[index].key, key);
  }
  store(entries_[index].count, entries_[index].count + 1);
  return true;
}

void SourceTable::remove(Source source) {
  const auto key = static_cast<std::uint64_t>(source);
  const std::size_t index = find(key);
  if (index == none) return;
  store(entries_[index].count, entries_[index].count - 1);
  if (entries_[index].count == 0) pass(home(key), index, ~std::uint32_t{0});
}

std::uint32_t SourceTable::count(Source source) const {
  const auto key = static_cast<std::uint64_t>(source);
  const std::size_t index = find(key);
  if (index == none) return 0;
  const std::uint32_t count = load(entries_[index].count);
  // The place may have become another's between the two looks.
  return load(entries_[index].key) == key ? count : 0;
}

SourceTables::SourceTables(std::size_t count, std::size_t connections)
    : count_(count),
      places_(places_for(connections)),
      seed_(random_seed()),
      entries_(count * places_) {}

SourceTable SourceTables::table(std::size_t index) const {
  return {entries_.all().subspan(index * places_, places_), seed_};
}

void SourceTables::clear(std::size_t index) {
  SourceTable::Entry* begin = entries_.data() + index * places_;
  const std::size_t bytes = places_ * sizeof(SourceTable::Entry);
  // Gives the memory back; what was never touched stays so.
  if (madvise(begin, bytes, MADV_REMOVE) != 0) std::memset(begin, 0, bytes);
}

void SourceTables::protect_all_but(std::optional<std::size_t> index) {
  auto& memory = entries_.memory();
  if (!index) return memory.make_read_only(0, memory.size());
  const std::size_t own = places_ * sizeof(SourceTable::Entry);
  const std::size_t begin = *index * own;
  memory.make_read_only(0, begin);
  memory.make_read_only(begin + own, memory.size() - begin - own);
}

}  // namespace forkecho::server
