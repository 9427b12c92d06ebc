// The metrics exporter: a process of its own that serves --metrics: GET /metrics and /healthz. It
// reads the page that the supervisor publishes and talks to nobody else, so that no scraper,
// however many and however hostile, can slow the acceptance of clients or hold up the supervisor.
//
// One loop over at most `most_scrapers` connections; when one more comes, the oldest is dropped, so
// that slow ones cannot lock others out. Ends with the supervisor, or when it is killed; then
// exporter_keeper.h starts the next.
#pragma once

#include <span>

#include "common/mp/raw_shared.h"
#include "server/listener.h"
#include "server/metrics.h"
#include "server/metrics_conversation.h"
#include "server/published.h"

namespace forkecho::server {

using MetricsPage = mp::RawValue<Published<Metrics>>;

inline constexpr std::size_t most_scrapers = 64;

/// The reply to what was asked for, by what is published now. Does not block.
MetricsConversation::Body answer_scrape(MetricsReply asked_for, const Published<Metrics>& page);

/// Serves `listeners`, non-blocking ones, for ever. The caller has settled the process in.
[[noreturn]] void run_metrics_exporter(std::span<const Listener> listeners,
                                       const Published<Metrics>& page,
                                       MetricsPatience patience = {});

}  // namespace forkecho::server
