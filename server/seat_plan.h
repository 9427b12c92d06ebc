// How many processes a process tree may have, by its options alone: pure decisions. The tree
// (process_tree.h) asks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/options.h"

namespace forkecho::server {

/// The most processes of the mode's kind that may ever be alive at once, on a machine of `cpus`
/// processors; the acceptor of --accept passing not among them.
std::size_t seat_count(const Options& options, unsigned cpus);
/// How many of `all` seats may be taken now, when `elsewhere` processes of older trees still serve:
/// their connections count where each has a process, unless each of ours has a queue to empty.
unsigned places(const Options& options, unsigned all, unsigned elsewhere);
/// Children that one acceptor may have at once.
std::size_t child_limit(const Options& options);
/// A process is a connection.
bool serves_one_each(const Options& options);
/// A pool that grows and shrinks: neither of single-use workers nor with a queue for each.
bool is_sized(const Options& options);
/// Connections that one process may have open, with some that it has just accepted.
std::uint64_t most_open(const Options& options);

}  // namespace forkecho::server
