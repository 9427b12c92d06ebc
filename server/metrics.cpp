#include "server/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace forkecho::server {
namespace {

constexpr double freshness_s = 5;

/// Escaped as the inside of a label's value.
std::string label(std::string_view value) {
  std::string escaped;
  for (const char c : value) {
    if (c == '\n') {
      escaped += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

/// Writes families of metrics, each with its help and type before its samples.
class Writer {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    append("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <typename Number>
  void sample(Number value) {
    append("{} {}\n", name_, value);
  }
  template <typename Number>
  void sample(std::string_view key, std::string_view label_value, Number value) {
    append("{}{{{}=\"{}\"}} {}\n", name_, key, label(label_value), value);
  }
  template <typename Number>
  void suffixed(std::string_view suffix, Number value) {
    append("{}{} {}\n", name_, suffix, value);
  }
  template <typename Number>
  void counter(std::string_view name, std::string_view help, Number value) {
    family(name, "counter", help);
    sample(value);
  }
  template <typename Number>
  void gauge(std::string_view name, std::string_view help, Number value) {
    family(name, "gauge", help);
    sample(value);
  }
  template <typename... Args>
  void append(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string_view name_;
};

std::uint64_t sum(const auto& counts) {
  std::uint64_t total = 0;
  for (const auto count : counts) total += count;
  return total;
}

void write_daemon(Writer& out, const Metrics& metrics, double age_s) {
  out.family("forkecho_build_info", "gauge", "The version and mode of the daemon; always 1.");
  out.append("forkecho_build_info{{version=\"{}\",mode=\"{}\"}} 1\n", FORKECHO_VERSION,
             to_string(metrics.mode));
  out.gauge("forkecho_start_time_seconds", "When the daemon started, in seconds since 1970.",
            fmt::format("{:.3f}", metrics.started_at));
  out.family("forkecho_state", "gauge", "1 for the state that the daemon is in.");
  for (const State state :
       {State::starting, State::running, State::draining, State::finishing, State::ending}) {
    out.sample("state", to_string(state), metrics.state == state ? 1 : 0);
  }
  out.gauge("forkecho_figures_age_seconds", "How long ago the supervisor published these figures.",
            fmt::format("{:.3f}", age_s));
  out.counter("forkecho_exporters_started_total",
              "Processes that were started to serve these metrics.", metrics.exporters_started);
}

void write_connections(Writer& out, const BookTotals& books) {
  out.counter("forkecho_connections_accepted_total", "Connections accepted.", books.accepted);
  out.gauge("forkecho_connections_active", "Connections open now.", books.active());
  out.family("forkecho_connections_ended_total", "counter", "Connections over, by how they ended.");
  out.sample("outcome", "served", books.served);
  out.sample("outcome", "refused", sum(books.refused));
  out.sample("outcome", "timed_out", sum(books.timed_out));
  out.sample("outcome", "fork_failed", books.fork_failed);
  out.sample("outcome", "crashed", books.crashed);
  constexpr std::array reasons{"full", "per_source", "rate", "draining"};
  static_assert(reasons.size() == std::tuple_size_v<decltype(books.refused)>);
  out.family("forkecho_connections_refused_total", "counter", "Connections refused, by reason.");
  for (std::size_t i = 0; i < reasons.size(); ++i)
    out.sample("reason", reasons[i], books.refused[i]);
  constexpr std::array kinds{"first_byte", "idle", "write", "lifetime", "drain"};
  static_assert(kinds.size() == std::tuple_size_v<decltype(books.timed_out)>);
  out.family("forkecho_connections_timed_out_total", "counter",
             "Connections ended by a timeout, by its kind.");
  for (std::size_t i = 0; i < kinds.size(); ++i) out.sample("kind", kinds[i], books.timed_out[i]);
  out.counter("forkecho_received_bytes_total", "Bytes received of clients.", books.bytes_in);
  out.counter("forkecho_sent_bytes_total", "Bytes sent to clients.", books.bytes_out);
}

void write_children(Writer& out, const Metrics& metrics) {
  out.counter("forkecho_children_forked_total", "Processes forked to serve connections.",
              metrics.children.forked);
  out.counter("forkecho_children_reaped_total", "Of these, those that have ended.",
              metrics.children.reaped);
  out.family("forkecho_children", "gauge",
             "Processes that serve connections, by what they do; in the pool, its size.");
  out.sample("state", "idle", metrics.children.idle);
  out.sample("state", "busy", metrics.children.busy);
  out.gauge("forkecho_generation", "The generation of processes that accepts, counted by reloads.",
            metrics.generation);
  out.gauge("forkecho_generations_draining",
            "Older generations that still serve connections after a reload.",
            metrics.generations_draining);
}

void write_fork_times(Writer& out, const ForkTimeTotals& times) {
  out.family("forkecho_fork_duration_seconds", "histogram",
             "How long the calls of fork for a connection took (mode fork).");
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < fork_time_bounds; ++i) {
    cumulative += times.buckets[i];
    const auto bound_us = fork_time_bound(i).count();
    out.append("forkecho_fork_duration_seconds_bucket{{le=\"{:.5f}\"}} {}\n",
               static_cast<double>(bound_us) * 1e-6, cumulative);
  }
  out.append("forkecho_fork_duration_seconds_bucket{{le=\"+Inf\"}} {}\n", times.count());
  out.suffixed("_sum", fmt::format("{:.9f}", static_cast<double>(times.sum_ns) * 1e-9));
  out.suffixed("_count", times.count());
}

void write_queues(Writer& out, const Metrics& metrics) {
  const auto each = [&](auto figure) {
    for (std::size_t i = 0; i < std::min(metrics.listener_count, metrics.listeners.size()); ++i) {
      const ListenerMetrics& listener = metrics.listeners[i];
      if (listener.has_queue) out.sample("listener", listener.name.data(), figure(listener.queue));
    }
  };
  out.family("forkecho_accept_queue_length", "gauge",
             "Clients in the kernel's queue that wait to be accepted.");
  each([](const AcceptQueue& queue) { return queue.length; });
  out.family("forkecho_accept_queue_limit", "gauge", "For how many clients that queue has room.");
  each([](const AcceptQueue& queue) { return queue.limit; });
}

void write_acceptors(Writer& out, const Metrics& metrics) {
  const std::size_t count = std::min(metrics.acceptor_count, metrics.acceptors.size());
  if (count == 0) return;
  const auto each = [&](auto figure) {
    for (std::size_t i = 0; i < count; ++i) {
      const AcceptorMetrics& acceptor = metrics.acceptors[i];
      out.sample("acceptor", std::to_string(acceptor.number), figure(acceptor));
    }
  };
  out.family("forkecho_acceptor_accepted_total", "counter",
             "Connections accepted by the acceptor in this place, since it was started.");
  each([](const AcceptorMetrics& acceptor) { return acceptor.accepted; });
  out.family("forkecho_acceptor_active", "gauge", "Connections of its children open now.");
  each([](const AcceptorMetrics& acceptor) { return acceptor.active; });
}

void write_logs(Writer& out, const Metrics& metrics) {
  out.family("forkecho_log_lines_lost_total", "counter",
             "Lines that could not be written, to a full disk for one, by log.");
  out.sample("log", "main", metrics.log_lost);
  out.sample("log", "access", metrics.access_log_lost);
}

}  // namespace

Metrics to_metrics(const Status& status) {
  Metrics metrics;
  metrics.valid = true;
  metrics.state = status.state;
  metrics.mode = status.mode;
  metrics.books = status.books;
  metrics.children = status.children;
  for (const GenerationView& generation : status.generations) {
    metrics.generation = std::max<std::uint64_t>(metrics.generation, generation.number);
    metrics.generations_draining += generation.draining;
  }
  metrics.log_lost = status.log_lost;
  metrics.access_log_lost = status.access_log_lost;
  metrics.acceptor_count = std::min(status.acceptors.size(), metrics.acceptors.size());
  for (std::size_t i = 0; i < metrics.acceptor_count; ++i) {
    const AcceptorView& acceptor = status.acceptors[i];
    metrics.acceptors[i] = {
        .number = acceptor.number, .accepted = acceptor.accepted, .active = acceptor.active};
  }
  metrics.listener_count = std::min(status.listen.size(), metrics.listeners.size());
  for (std::size_t i = 0; i < metrics.listener_count; ++i) {
    ListenerMetrics& listener = metrics.listeners[i];
    status.listen[i].copy(listener.name.data(), listener.name.size() - 1);
    if (i >= status.accept_queues.size() || !status.accept_queues[i]) continue;
    listener.has_queue = true;
    listener.queue = *status.accept_queues[i];
  }
  return metrics;
}

std::string to_text(const Metrics& metrics, double age_s) {
  Writer out;
  write_daemon(out, metrics, age_s);
  write_connections(out, metrics.books);
  write_children(out, metrics);
  write_fork_times(out, metrics.books.fork_times);
  write_queues(out, metrics);
  write_acceptors(out, metrics);
  write_logs(out, metrics);
  return out.take();
}

bool is_healthy(const Metrics& metrics, double age_s) {
  return metrics.valid && metrics.state == State::running && age_s < freshness_s;
}

}  // namespace forkecho::server
