// The log: one line, one write(2), so that lines of several processes on one file never mix, and
// nothing is buffered that a fork could duplicate or a kill could lose. spdlog formats and filters;
// no asynchronous logger, no flush thread, no lock. Control characters in a message are escaped
// (escape.h), so that a message is one line.
//
// Set up once with open() before the first fork; children inherit it. Without open(), lines go to
// standard error. A line that cannot be written (a full disk) is dropped and counted; the program
// goes on. Safe between processes; not between threads.
#pragma once

#include <fmt/core.h>

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
/// From now on; the file stays.
void configure(Level level, Format format);
/// Lines go to `file` from now on, under the number that the old file had, which is closed. Throws
/// std::system_error when it cannot be opened: then nothing has changed. Of no effect on a log on
/// standard error.
void reopen(const std::string& file);
/// Writes lines that another has formatted, each with its end, as they are.
void append(std::string_view lines);

/// A program may keep its log file to its first process: children write to `relay` (not blocking;
/// one line, of at most PIPE_BUF bytes, a write), and that process passes on what comes there by
/// append. Set before the fork; of no effect on a log on standard error.
void set_relay(int relay);
/// In a child: closes the file, lines go to the relay. Of no effect where there is none.
void use_relay();
bool enabled(Level level);
void write(Level level, std::string_view message);
/// The descriptor that lines go to.
int descriptor();
/// Lines lost because they could not be written, in this process.
std::uint64_t dropped();

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
