#include "server/metrics_service.h"

#include <algorithm>
#include <utility>

#include "server/metrics.h"

namespace forkecho::server {
namespace {

/// What tells the exporter's listener from others in a handover.
const std::string mark = "metrics ";

Listener take_or_open(const std::string& address, std::list<Inheritance::Socket>& inherited) {
  if (auto listener = take_matching(inherited, mark + address, {})) return std::move(*listener);
  return open_metrics_listener(address);
}

}  // namespace

void MetricsService::open(const std::string& address, std::list<Inheritance::Socket>& inherited,
                          ExporterKeeper::SettleIn settle_in) {
  asked_for_ = address;
  exporter_.emplace(take_or_open(address, inherited), std::move(settle_in));
}

void MetricsService::maintain(const Figures& figures) {
  if (!exporter_) return;
  exporter_->maintain();
  if (publish_next_.passed()) publish_now(figures);
}

void MetricsService::publish_now(const Figures& figures) {
  if (!exporter_) return;
  publish_next_ = sys::Deadline::after(publishing_pause);
  Metrics metrics = to_metrics(figures());
  metrics.started_at = started_at_;
  exporter_->publish(metrics);
}

std::optional<Handover::Socket> MetricsService::socket() const {
  if (!exporter_) return std::nullopt;
  return Handover::Socket{.fd = exporter_->listener().fd(),
                          .owner = exporter_->listener().owner(),
                          .text = mark + asked_for_};
}

void MetricsService::leave(const std::vector<int>& taken) {
  if (exporter_ && std::ranges::find(taken, exporter_->listener().fd()) != taken.end())
    exporter_->leave_listener();
  exporter_.reset();
}

}  // namespace forkecho::server
