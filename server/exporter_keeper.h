// ExporterKeeper: the supervisor's side of the metrics exporter: its listener, the page that is
// published to it, and the process itself, which is started again when it ends: at once when it had
// lived for a while, else after a pause that doubles (back-off). Nothing here blocks, and nobody
// waits for the exporter.
//
// The page is mapped in the supervisor and the exporter only, in the exporter read-only.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/mp/process.h"
#include "common/sys/deadline.h"
#include "server/listener.h"
#include "server/metrics_exporter.h"

namespace forkecho::server {

/// The pause before the next start of an exporter that lived for `lived` and was started after a
/// pause of `previous`: none, or 100 ms doubling to a minute.
std::chrono::milliseconds next_exporter_pause(sys::Duration lived,
                                              std::chrono::milliseconds previous);

/// Listens at `address`. Throws FatalError (usage, unavailable).
Listener open_metrics_listener(const std::string& address);

class ExporterKeeper {
 public:
  /// What the new process does first: settles in, and gives up what is none of its business. Given
  /// the listeners that it serves and its title.
  using SettleIn = std::function<void(std::span<const Listener>, const std::string& title)>;

  ExporterKeeper(Listener listener, SettleIn settle_in);
  ExporterKeeper(const ExporterKeeper&) = delete;
  ExporterKeeper& operator=(const ExporterKeeper&) = delete;
  /// Ends the exporter, if it runs.
  ~ExporterKeeper();

  /// Starts the exporter if there is none and its pause is over. Call on every tick.
  void maintain();
  /// Child `pid` has ended and is not reaped yet. True when it was the exporter: it is reaped now.
  bool take_ended(pid_t pid);
  /// What scrapers see from now on.
  void publish(Metrics metrics);

  /// The listener is another daemon's now: its socket file stays.
  void leave_listener() { leaves_listener_ = true; }
  const Listener& listener() const { return listeners_.front(); }
  std::string address() const { return listener().address().to_string(); }
  /// 0: none runs.
  pid_t pid() const { return pid_; }
  std::uint64_t started() const { return started_count_; }

 private:
  void start();

  std::vector<Listener> listeners_;
  SettleIn settle_in_;
  MetricsPage page_;
  std::optional<mp::Process> process_;
  bool leaves_listener_ = false;
  pid_t pid_ = 0;
  std::uint64_t started_count_ = 0;
  sys::Clock::time_point started_{};
  std::chrono::milliseconds pause_{0};
  sys::Deadline not_before_ = sys::Deadline::immediately();
};

}  // namespace forkecho::server
