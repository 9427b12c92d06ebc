#include "common/log/log.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <memory>

#include "common/log/escape.h"
#include "common/log/line_file.h"

namespace forkecho::log {
namespace {

/// Where lines that were lost are counted; another process's count is none of ours.
struct LossCount {
  std::uint64_t own = 0;  // while nobody gave a counter
  std::atomic<std::uint64_t>* shared = nullptr;
  pid_t owner = 0;  // of `shared`

  void add(std::uint64_t lines) {
    if (shared == nullptr) {
      own += lines;
    } else if (owner == getpid()) {
      shared->fetch_add(lines, std::memory_order_relaxed);
    }
  }
  std::uint64_t get() const {
    return shared == nullptr   ? own
           : owner == getpid() ? shared->load(std::memory_order_relaxed)
                               : 0;
  }
};
LossCount losses;

std::uint64_t count_lines(std::string_view lines) {
  return static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
}

/// Writes each formatted line with one system call.
class LineSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  LineSink(LineFile file, bool has_file) : file_(std::move(file)), has_file_(has_file) {}
  int descriptor() const { return file_.descriptor(); }
  bool last_was_written() const { return last_was_written_; }
  void forgive_losses(bool forgive) { forgive_losses_ = forgive; }
  void avoid_waiting() { file_.avoid_waiting(); }
  bool has_file() const { return has_file_; }
  void reopen(const std::string& path) { file_.reopen(path, "log file"); }
  void use_relay(int relay) {
    file_ = LineFile::borrowed(relay);
    is_relay_ = true;
  }
  void append(std::string_view lines) {
    if (!file_.write(lines)) losses.add(count_lines(lines));
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (is_relay_ && line.size() > PIPE_BUF) {  // it would be no longer one piece
      line.resize(PIPE_BUF);
      line[PIPE_BUF - 1] = '\n';
    }
    last_was_written_ = file_.write({line.data(), line.size()});
    if (!last_was_written_ && !forgive_losses_) losses.add(1);
  }
  void flush_() override {}

 private:
  LineFile file_;
  const bool has_file_;    // not standard error
  bool is_relay_ = false;  // in a child, where there is one
  bool last_was_written_ = true;
  bool forgive_losses_ = false;
};

/// The message, escaped by a function of escape.h.
class EscapedMessage final : public spdlog::custom_flag_formatter {
 public:
  using Escape = std::string (*)(std::string_view);
  explicit EscapedMessage(Escape escape) : escape_(escape) {}
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string text = escape_({message.payload.data(), message.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<EscapedMessage>(escape_);
  }

 private:
  Escape escape_;
};

std::unique_ptr<spdlog::formatter> make_formatter(Format format) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (format == Format::json) {
    formatter->add_flag<EscapedMessage>('*', &escape_for_json)
        .set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","pid":%P,"message":"%*"})");
  } else {
    formatter->add_flag<EscapedMessage>('*', &escape_for_text)
        .set_pattern("%Y-%m-%d %H:%M:%S.%e [%P] %l: %*");
  }
  return formatter;
}

spdlog::level::level_enum to_spdlog(Level level) {
  constexpr std::array levels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                              spdlog::level::err};
  return levels[static_cast<std::size_t>(level)];
}

struct State {
  std::shared_ptr<LineSink> sink;
  std::unique_ptr<spdlog::logger> logger;
  int relay = -1;
};

State make_state(const Options& options) {
  State state;
  state.sink = std::make_shared<LineSink>(
      options.file.empty() ? LineFile() : LineFile(options.file, "log file"),
      !options.file.empty());
  state.sink->set_formatter(make_formatter(options.format));
  state.logger = std::make_unique<spdlog::logger>("forkecho", state.sink);
  state.logger->set_level(to_spdlog(options.level));
  return state;
}

State& state() {
  static State current = make_state({});
  return current;
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) {
  if (name == "debug") return Level::debug;
  if (name == "info") return Level::info;
  if (name == "warning") return Level::warning;
  if (name == "error") return Level::error;
  return std::nullopt;
}

std::optional<Format> parse_format(std::string_view name) {
  if (name == "text") return Format::text;
  if (name == "json") return Format::json;
  return std::nullopt;
}

void open(const Options& options) {
  state() = make_state(options);
}
void configure(Level level, Format format) {
  state().sink->set_formatter(make_formatter(format));
  state().logger->set_level(to_spdlog(level));
}
void reopen(const std::string& file) {
  if (state().sink->has_file()) state().sink->reopen(file);
}
void append(std::string_view lines) {
  state().sink->append(lines);
}
void avoid_waiting() {
  state().sink->avoid_waiting();
}
void set_relay(int relay) {
  state().relay = relay;
}
void use_relay() {
  if (state().relay >= 0 && state().sink->has_file()) state().sink->use_relay(state().relay);
}
bool enabled(Level level) {
  return state().logger->should_log(to_spdlog(level));
}
void write(Level level, std::string_view message) {
  state().logger->log(to_spdlog(level), spdlog::string_view_t(message.data(), message.size()));
}
int descriptor() {
  return state().sink->descriptor();
}
bool try_write(Level level, std::string_view message) {
  LineSink& sink = *state().sink;
  sink.forgive_losses(true);
  write(level, message);
  sink.forgive_losses(false);
  return sink.last_was_written();
}
std::uint64_t dropped() {
  return losses.get();
}
void count_losses_in(std::atomic<std::uint64_t>& counter) {
  losses.shared = &counter;
  losses.owner = getpid();
}

}  // namespace forkecho::log
