// MetricsConversation: one scraper's connection to the exporter, from its first byte to its end.
// The exporter's loop (metrics_exporter.cpp) waits for what events() names and calls on_ready or
// check_time. Nothing blocks; memory and time are bounded. After the reply our side is closed
// first, and what the client still sends is discarded for a moment, so that no reset eats the
// reply.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"
#include "server/metrics_request.h"

namespace forkecho::server {

struct MetricsPatience {
  sys::Duration request = std::chrono::seconds(5);  // from the accept to the request's last byte
  sys::Duration reply = std::chrono::seconds(10);   // for a client that reads slowly
  sys::Duration end = std::chrono::seconds(1);      // for its end after ours
};

class MetricsConversation {
 public:
  /// The body of a reply; for the errors a line that says what is wrong.
  struct Body {
    MetricsReply status;  // metrics and health: 200; unavailable: 503; else as asked for
    std::string text;
  };
  using Answer = std::function<Body(MetricsReply asked_for)>;

  /// `answer` outlives the conversation.
  MetricsConversation(sys::Descriptor socket, const Answer& answer, MetricsPatience patience = {});
  MetricsConversation(const MetricsConversation&) = delete;
  MetricsConversation& operator=(const MetricsConversation&) = delete;

  int socket() const { return socket_.get(); }
  /// What to poll for.
  short events() const;
  sys::Deadline deadline() const { return deadline_; }
  bool over() const { return phase_ == Phase::over; }

  void on_ready();
  /// Ends what took too long.
  void check_time();

 private:
  enum class Phase { receiving, sending, ending, over };

  void receive();
  void reply_to(const MetricsRequest& request);
  void send();
  void discard();

  sys::Descriptor socket_;
  const Answer& answer_;
  MetricsPatience patience_;
  Phase phase_ = Phase::receiving;
  sys::Deadline deadline_;
  std::string received_;
  std::string reply_;
  std::string_view unsent_;
  std::size_t discarded_ = 0;
};

/// The reply as it goes over the wire. Pure.
std::string render_reply(const MetricsConversation::Body& body, bool header_only);

}  // namespace forkecho::server
