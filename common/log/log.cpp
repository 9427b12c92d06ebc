#include "common/log/log.h"

#include <fcntl.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <memory>

#include "common/log/escape.h"
#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"

namespace forkecho::log {
namespace {

/// Writes each formatted line with one write(2). O_APPEND places it whole behind the others.
class DescriptorSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  DescriptorSink(sys::Descriptor file, bool has_file)
      : file_(std::move(file)), has_file_(has_file) {}
  int descriptor() const { return relay_ >= 0 ? relay_ : file_ ? file_.get() : STDERR_FILENO; }
  std::uint64_t dropped() const { return dropped_; }
  bool has_file() const { return has_file_; }
  void reopen(const sys::Descriptor& file) {
    sys::check_syscall(dup3(file.get(), file_.get(), O_CLOEXEC), "dup3");
  }
  void use_relay(int relay) {
    relay_ = relay;
    file_.reset();
  }
  void append(std::string_view lines) {
    const auto written =
        sys::retry_on_interrupt([&] { return ::write(descriptor(), lines.data(), lines.size()); });
    if (written != static_cast<ssize_t>(lines.size())) ++dropped_;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (relay_ >= 0 && line.size() > PIPE_BUF) {  // it would be no longer one piece
      line.resize(PIPE_BUF);
      line[PIPE_BUF - 1] = '\n';
    }
    const auto written =
        sys::retry_on_interrupt([&] { return ::write(descriptor(), line.data(), line.size()); });
    if (written != static_cast<ssize_t>(line.size())) ++dropped_;
  }
  void flush_() override {}

 private:
  sys::Descriptor file_;
  const bool has_file_;  // not standard error
  int relay_ = -1;       // in a child, where there is one
  std::uint64_t dropped_ = 0;
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
  std::shared_ptr<DescriptorSink> sink;
  std::unique_ptr<spdlog::logger> logger;
  int relay = -1;
};

sys::Descriptor open_file(const std::string& file) {
  return sys::Descriptor(
      sys::check_syscall(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640),
                         "cannot open the log file '" + file + "'"));
}

State make_state(const Options& options) {
  sys::Descriptor file;
  if (!options.file.empty()) file = open_file(options.file);
  State state;
  state.sink = std::make_shared<DescriptorSink>(std::move(file), !options.file.empty());
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
  if (state().sink->has_file()) state().sink->reopen(open_file(file));
}
void append(std::string_view lines) {
  state().sink->append(lines);
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
std::uint64_t dropped() {
  return state().sink->dropped();
}

}  // namespace forkecho::log
