// An event worker: one process that multiplexes many connections with epoll. What event servers do,
// here for comparison with a process per connection.
//
// Its own epoll loop and not Asio's reactor, since that cannot register a shared listener
// exclusively (chriskohlhoff/asio #902): every worker would wake for every client. Leaves when told
// (worker.h).
#pragma once

#include "server/process_context.h"
#include "server/slot_table.h"

namespace forkecho::server {

void run_event_worker(const ProcessContext& context, SlotTable* slots = nullptr);

}  // namespace forkecho::server
