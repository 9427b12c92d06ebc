// The log: one line, one write(2), so that lines of several processes on one file never mix, and
// nothing is buffered that a fork could duplicate or a kill could lose. spdlog formats and filters;
// no asynchronous logger, no flush thread, no lock. Control characters in a message are escaped
// (escape.h), so that a message is one line.
//
// Set up once with open() before the first fork; children inherit it. Without open(), lines go to
// standard error. A line that cannot be written at once (a full disk, a pipe that nobody reads) is
// lost and counted; the program goes on. Safe between processes; not between threads.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace forkecho::log {

enum class Level { debug, info, warning, error };
enum class Format { text, json };

struct Options {
  Level level = Level::info;
  Format format = Format::text;
  std::string file;  // empty: standard error
};

std::optional<Level> parse_level(std::string_view name);    // debug, info, warning, error
std::optional<Format> parse_format(std::string_view name);  // text, json

/// Throws std::system_error when the file cannot be opened for appending.
void open(const Options& options);
bool enabled(Level level);
void write(Level level, std::string_view message);
/// The descriptor that lines go to.
int descriptor();
/// The same as write; false when the line could not be written, which is not counted: for a line
/// that is tried again.
bool try_write(Level level, std::string_view message);
/// Lines lost because they could not be written, in this process.
std::uint64_t dropped();
/// From now on this process, and no child of it, counts them there (in shared memory, perhaps).
void count_losses_in(std::atomic<std::uint64_t>& counter);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warning))
    write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace forkecho::log
