// MetricsService: the daemon's metrics, where --metrics asks for them: their listener, opened or
// taken over from another daemon and handed on to the next; the exporter that serves them
// (exporter_keeper.h); and how often figures are published to it.
//
// The supervisor alone has one. Where metrics are not asked for, nothing here has an effect.
// Nothing blocks. Not for threads.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "common/sys/deadline.h"
#include "server/exporter_keeper.h"
#include "server/handover.h"
#include "server/status.h"

namespace forkecho::server {

class MetricsService {
 public:
  /// Figures are published as often as this at most, and on every change of state.
  static constexpr auto publishing_pause = std::chrono::milliseconds(90);
  /// The status without its slots; asked for only when it is to be published.
  using Figures = std::function<Status()>;

  /// Metrics are asked for at `address`: takes its listener out of `inherited`, or opens it.
  /// `settle_in` as for ExporterKeeper. Throws FatalError (usage, unavailable).
  void open(const std::string& address, std::list<Inheritance::Socket>& inherited,
            ExporterKeeper::SettleIn settle_in);
  /// On every tick: the exporter runs, and figures are published when it is time.
  void maintain(const Figures& figures);
  void publish_now(const Figures& figures);
  /// See ExporterKeeper.
  bool take_ended(pid_t pid) { return exporter_ && exporter_->take_ended(pid); }

  /// What is handed to the daemon that replaces this one; empty: nothing.
  std::optional<Handover::Socket> socket() const;
  /// The other daemon serves metrics from now on; `taken`: what it took of the handover.
  void leave(const std::vector<int>& taken);

  /// "": nowhere.
  std::string address() const { return exporter_ ? exporter_->address() : ""; }
  /// 0: nobody serves them.
  pid_t exporter() const { return exporter_ ? exporter_->pid() : 0; }

 private:
  std::string asked_for_;
  std::optional<ExporterKeeper> exporter_;
  sys::Deadline publish_next_ = sys::Deadline::immediately();
  const double started_at_ =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
};

}  // namespace forkecho::server
