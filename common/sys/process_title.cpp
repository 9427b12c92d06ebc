#include "common/sys/process_title.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace forkecho::sys {
namespace {

char* room = nullptr;
std::size_t room_size = 0;
std::size_t title_length = 0;  // what must be cleared before the next title

/// The strings of argv and then of environ lie one behind the other on the stack (System V ABI).
char* end_of_adjacent_strings(char* end, char** strings) {
  for (; *strings != nullptr; ++strings) {
    if (*strings != end) return end;
    end += std::strlen(end) + 1;
  }
  return end;
}

}  // namespace

void remember_title_room(int argc, char** argv) {
  if (argc == 0) return;
  char* end = end_of_adjacent_strings(argv[0], argv);
  end = end_of_adjacent_strings(end, environ);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (char* copy = strdup(*variable)) *variable = copy;
  }
  room = argv[0];
  room_size = static_cast<std::size_t>(end - room);
  title_length = room_size;
}

void set_process_title(std::string_view title) {
  if (room_size < 2) return;
  const std::size_t length = std::min(title.size(), room_size - 1);
  std::memcpy(room, title.data(), length);
  if (title_length > length) std::memset(room + length, 0, title_length - length);
  title_length = length;
}

}  // namespace forkecho::sys
