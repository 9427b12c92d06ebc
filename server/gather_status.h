// Gathers the figures of a status (status.h) from those who have them: the generations of
// processes, the listeners, the logs. Called by the supervisor, for `forkechod status` and for the
// metrics. What a process has written is shown, bounded, and not believed. Blocks nobody.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "server/generations.h"
#include "server/listener.h"
#include "server/status.h"

namespace forkecho::server {

/// All but what the supervisor alone knows of itself (its state and age, its exporter, stress, its
/// predecessors), and without the slots. `listeners`: as open_listeners gives them.
Status gather_status(const Generations& generations, std::span<const Listener> listeners);
/// At most as many slots as the options say; the rest is counted.
void add_slots(Status& status, const Generations& generations, sys::Clock::time_point now);

/// The queues of `addresses` addresses, each summed over all its listeners: every `addresses`th of
/// `queues`. Empty where the first is not known. Pure.
std::vector<std::optional<AcceptQueue>> sum_by_address(
    const std::vector<std::optional<AcceptQueue>>& queues, std::size_t addresses);

}  // namespace forkecho::server
