#include "common/log/log.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "common/log/escape.h"
#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"

namespace forkecho::log {
namespace {

/// A write to it can wait for somebody else.
bool may_wait(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return false;
  return S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || isatty(descriptor) == 1;
}

/// True when a line's write will not wait, unless another process takes the room in between. (What
/// would rule that out, O_NONBLOCK, is a property of the file that our parent has opened, too.)
bool has_room(int descriptor) {
  pollfd entry{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLOUT) != 0;
}

/// Writes each formatted line with one write(2). O_APPEND places it whole behind the others.
class DescriptorSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit DescriptorSink(sys::Descriptor file)
      : file_(std::move(file)), may_wait_(may_wait(descriptor())) {}
  int descriptor() const { return file_ ? file_.get() : STDERR_FILENO; }
  std::uint64_t dropped() const { return dropped_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    const auto written = sys::retry_on_interrupt([&]() -> ssize_t {
      if (may_wait_ && !has_room(descriptor())) return 0;
      return ::write(descriptor(), line.data(), line.size());
    });
    if (written != static_cast<ssize_t>(line.size())) ++dropped_;
  }
  void flush_() override {}

 private:
  sys::Descriptor file_;
  const bool may_wait_;
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
};

State make_state(const Options& options) {
  sys::Descriptor file;
  if (!options.file.empty()) {
    file.reset(sys::check_syscall(
        ::open(options.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640),
        "cannot open the log file '" + options.file + "'"));
  }
  State state;
  state.sink = std::make_shared<DescriptorSink>(std::move(file));
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
