// What every example speaks with: a line of output, and its arguments. Called by any process at any
// time; a line that cannot be written is lost without a word.
#pragma once

#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>

namespace forkecho::examples {

/// Prints a line in one write: lines of several processes never mix, and stand in the order in
/// which they were said.
template <typename... Parts>
void say(const Parts&... parts) {
  std::ostringstream line;
  (line << ... << parts) << '\n';
  const std::string text = std::move(line).str();
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
}

/// The shortest text that is read back as the same number, as Python prints it.
inline std::string shortest(double number) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

/// Argument `index` as a whole number of at least 1, `otherwise` when there is none; any other text
/// ends the program with 64 (usage).
inline long number_argument(int argc, char** argv, int index, long otherwise) {
  if (index >= argc) return otherwise;
  const std::string_view text = argv[index];
  long number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end.ec == std::errc{} && end.ptr == text.data() + text.size() && number > 0) return number;
  std::cerr << argv[0] << ": '" << text << "' is no whole number above 0\n";
  std::exit(64);
}

/// The same, in milliseconds.
inline std::chrono::milliseconds pause_argument(int argc, char** argv, int index, long otherwise) {
  return std::chrono::milliseconds(number_argument(argc, argv, index, otherwise));
}

}  // namespace forkecho::examples
