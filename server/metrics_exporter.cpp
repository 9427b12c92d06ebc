#include "server/metrics_exporter.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <list>
#include <vector>

#include "common/sys/check_syscall.h"

namespace forkecho::server {
namespace {

using sys::Clock;
using sys::Deadline;

constexpr int accept_batch = 16;
constexpr auto resource_pause = std::chrono::milliseconds(100);

double age_of(const Metrics& metrics) {
  const sys::Duration age = Clock::now().time_since_epoch() - sys::Duration(metrics.published_ns);
  return std::max(0.0, std::chrono::duration<double>(age).count());
}

class Exporter {
 public:
  Exporter(std::span<const Listener> listeners, const Published<Metrics>& page,
           MetricsPatience patience)
      : listeners_(listeners),
        answer_([&page](MetricsReply asked_for) { return answer_scrape(asked_for, page); }),
        patience_(patience) {}

  [[noreturn]] void run() {
    for (;;) {
      wait();
      serve();
      accept_scrapers();
    }
  }

 private:
  void wait() {
    entries_.clear();
    for (const MetricsConversation& scraper : scrapers_)
      entries_.push_back({.fd = scraper.socket(), .events = scraper.events(), .revents = 0});
    // A negative descriptor is passed over.
    const bool listening = pause_until_.passed();
    for (const Listener& listener : listeners_)
      entries_.push_back({.fd = listening ? listener.fd() : -1, .events = POLLIN, .revents = 0});
    sys::retry_on_interrupt([&] {
      return poll(entries_.data(), entries_.size(), next_deadline(listening).poll_timeout_ms());
    });
  }

  Deadline next_deadline(bool listening) const {
    Deadline next = listening ? Deadline::never() : pause_until_;
    for (const MetricsConversation& scraper : scrapers_) next = earlier(next, scraper.deadline());
    return next;
  }

  void serve() {
    auto entry = entries_.begin();
    for (MetricsConversation& scraper : scrapers_) {
      if (entry++->revents != 0) scraper.on_ready();
      scraper.check_time();
    }
    std::erase_if(scrapers_, [](const MetricsConversation& scraper) { return scraper.over(); });
  }

  void accept_scrapers() {
    if (!pause_until_.passed()) return;
    for (const Listener& listener : listeners_) {
      for (int i = 0; i < accept_batch; ++i) {
        AcceptResult accepted = listener.accept();
        if (accepted.outcome == AcceptResult::Outcome::exhausted) drop_oldest_or_pause();
        if (accepted.outcome != AcceptResult::Outcome::client) break;
        if (scrapers_.size() == most_scrapers) scrapers_.pop_front();
        scrapers_.emplace_back(std::move(accepted.client.socket), answer_, patience_);
      }
    }
  }

  void drop_oldest_or_pause() {
    if (scrapers_.empty()) {
      pause_until_ = Deadline::after(resource_pause);
    } else {
      scrapers_.pop_front();
    }
  }

  std::span<const Listener> listeners_;
  const MetricsConversation::Answer answer_;
  const MetricsPatience patience_;
  std::list<MetricsConversation> scrapers_;  // the oldest first
  std::vector<pollfd> entries_;
  Deadline pause_until_ = Deadline::immediately();
};

std::string explain(MetricsReply reply) {
  switch (reply) {
    case MetricsReply::not_found:
      return "there are /metrics and /healthz here\n";
    case MetricsReply::method_not_allowed:
      return "GET or HEAD\n";
    case MetricsReply::request_timeout:
      return "the request did not come to its end in time\n";
    case MetricsReply::too_long:
      return "the request is too long\n";
    case MetricsReply::unknown_version:
      return "HTTP/1.1\n";
    case MetricsReply::metrics:
    case MetricsReply::health:
    case MetricsReply::unavailable:
    case MetricsReply::bad_request:
      break;
  }
  return "this is no request of HTTP/1.1\n";
}

}  // namespace

MetricsConversation::Body answer_scrape(MetricsReply asked_for, const Published<Metrics>& page) {
  if (asked_for != MetricsReply::metrics && asked_for != MetricsReply::health)
    return {.status = asked_for, .text = explain(asked_for)};
  const Metrics metrics = page.read();
  const double age_s = age_of(metrics);
  if (!metrics.valid)
    return {.status = MetricsReply::unavailable, .text = "no figures have been published yet\n"};
  if (asked_for == MetricsReply::metrics)
    return {.status = asked_for, .text = to_text(metrics, age_s)};
  return {.status = is_healthy(metrics, age_s) ? asked_for : MetricsReply::unavailable,
          .text = fmt::format("{}\n", to_string(metrics.state))};
}

void run_metrics_exporter(std::span<const Listener> listeners, const Published<Metrics>& page,
                          MetricsPatience patience) {
  Exporter(listeners, page, patience).run();
}

}  // namespace forkecho::server
