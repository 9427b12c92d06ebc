// Elders: what a process must see of others to keep a limit that counts over all of them: the pages
// of older generations that still serve (generations.h), and the supervisor's own page.
//
// Made by the process tree, handed down in the ProcessContext, read by whoever accepts. Each page
// has one writer and is read-only here; the supervisor clears a dead process's page, so that no
// count can be left wrong by a kill. Nothing here waits or locks.
//
// That a limit holds exactly while one generation takes over from another rests on an order: the
// new one does not accept before the door of each elder is shut, and behind a shut door the number
// of connections only falls.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/mp/raw_shared.h"
#include "server/scoreboard.h"

namespace forkecho::server {

/// One page for each seat of a generation, and behind them the supervisor's: its book has as active
/// what the adopted children of dead acceptors serve, and its door is shut when nobody need wait
/// any longer for this generation's doors (one of its processes does not answer).
using GenerationPages = mp::RawArray<ProcessPage>;
using Elders = std::vector<std::shared_ptr<GenerationPages>>;

/// Connections that are being served by the processes of `pages`, adopted children included. The
/// figure of a process gone wrong may be nonsense.
std::uint64_t active_in(const GenerationPages& pages);
/// The same over all elders.
std::uint64_t active_in(const Elders& elders);
/// Whether one of them may still take somebody in: then the caller must not.
bool still_accept(const Elders& elders);
/// `limit` less `taken`, at least 0.
constexpr std::uint64_t what_is_left(std::uint64_t limit, std::uint64_t taken) {
  return limit > taken ? limit - taken : 0;
}

}  // namespace forkecho::server
