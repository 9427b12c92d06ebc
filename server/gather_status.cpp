#include "server/gather_status.h"

#include <unistd.h>

#include "common/log/log.h"
#include "server/access_log.h"
#include "server/open_listeners.h"

namespace forkecho::server {
namespace {

std::vector<std::optional<AcceptQueue>> queues_of(std::span<const Listener> listeners) {
  std::vector<std::optional<AcceptQueue>> queues;
  for (const Listener& listener : listeners) queues.push_back(accept_queue_of(listener.fd()));
  return queues;
}

std::optional<PoolStatus> pool_status(const ProcessTree& tree) {
  if (tree.options().mode != Mode::pool) return std::nullopt;
  return PoolStatus{.accept = tree.options().accept, .sizes = tree.sizes(), .grown = tree.grown()};
}

}  // namespace

Status gather_status(const Generations& generations, std::span<const Listener> listeners) {
  const ProcessTree& tree = generations.current();
  Status status;
  status.pid = getpid();
  status.mode = generations.options().mode;
  status.books = generations.totals();
  status.children = generations.children();
  status.confinement = tree.confinement_status();
  status.generations = generations.views();
  status.log_lost = status.books.log_lost + log::dropped();
  status.access_log_lost = status.books.access_log_lost + access_lines_lost();
  const auto addresses = one_of_each_address(generations.options(), listeners);
  for (const Listener& listener : addresses)
    status.listen.push_back(listener.address().to_string());
  status.accept_queues = sum_by_address(queues_of(listeners), addresses.size());
  status.pool = pool_status(tree);
  status.acceptors = tree.acceptors();
  if (const auto served = tree.served_by_each(); !served.empty())
    status.workers = fairness_of(served);
  return status;
}

void add_slots(Status& status, const Generations& generations, sys::Clock::time_point now) {
  status.slots_omitted = generations.visit_slots(
      generations.options().status_slots,
      [&](const Slot& slot) { status.slots.push_back(read_slot(slot, now)); });
}

std::vector<std::optional<AcceptQueue>> sum_by_address(
    const std::vector<std::optional<AcceptQueue>>& queues, std::size_t addresses) {
  std::vector<std::optional<AcceptQueue>> sums(queues.begin(),
                                               queues.begin() + static_cast<long>(addresses));
  for (std::size_t i = addresses; i < queues.size(); ++i) {
    auto& sum = sums[i % addresses];
    if (sum && queues[i]) *sum += *queues[i];
  }
  return sums;
}

}  // namespace forkecho::server
