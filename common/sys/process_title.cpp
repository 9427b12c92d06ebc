#include "common/sys/process_title.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace forkecho::sys {
namespace {

char* room = nullptr;
std::size_t room_size = 0;
bool room_is_clear = false;  // of arguments and environment; beside the others, on the same page

/// The strings of argv and then of environ lie one behind the other on the stack (System V ABI).
char* end_of_adjacent_strings(char* end, char** strings) {
  for (; *strings != nullptr; ++strings) {
    if (*strings != end) return end;
    end += std::strlen(end) + 1;
  }
  return end;
}

/// Before the first title, and not before: until then the arguments are read, and what follows them
/// must not show in ps, where everybody could read the environment.
[[gnu::cold]] void clear_room() {
  std::memset(room, 0, room_size);
  room_is_clear = true;
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
}

[[gnu::hot]] void set_process_title(std::string_view title) {
  if (room_size < 2) return;
  if (!room_is_clear) clear_room();
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
