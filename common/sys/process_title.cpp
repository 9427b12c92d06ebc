#include "common/sys/process_title.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace forkecho::sys {
namespace {

char* room = nullptr;
std::size_t room_size = 0;

/// The strings of argv and then of environ lie one behind the other on the stack (System V ABI).
char* end_of_adjacent_strings(char* end, char** strings) {
  for (; *strings != nullptr; ++strings) {
    if (*strings != end) return end;
    end += std::strlen(end) + 1;
  }
  return end;
}

void move_to_heap(char** strings) {
  for (; *strings != nullptr; ++strings) {
    if (char* copy = strdup(*strings)) *strings = copy;
  }
}

}  // namespace

void remember_title_room(int argc, char** argv) {
  if (argc == 0) return;
  char* const begin = argv[0];
  char* const end = end_of_adjacent_strings(end_of_adjacent_strings(begin, argv), environ);
  move_to_heap(argv);
  move_to_heap(environ);
  room = begin;
  room_size = static_cast<std::size_t>(end - begin);
  // One string, so that set_process_title clears up to its end.
  std::replace(begin, end - 1, '\0', ' ');
}

[[gnu::hot]] void set_process_title(std::string_view title) {
  if (room_size < 2) return;
  const std::size_t length = std::min(title.size(), room_size - 1);
  // Volatile keeps the loops from becoming calls of memcpy and memset: each would fault in one more
  // page of the program in a child just forked.
  volatile char* out = room;
  for (const char c : title.substr(0, length)) *out++ = c;
  // The rest of the title before, whose end is the first zero: no length is kept, because a child
  // would have to copy one more page for it.
  while (*out != '\0') *out++ = '\0';
}

}  // namespace forkecho::sys
