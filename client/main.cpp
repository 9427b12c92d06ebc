#include "client/command_line.h"
#include "common/sys/process_title.h"

int main(int argc, char** argv) {
  forkecho::sys::remember_title_room(argc, argv);
  return forkecho::client::run_command_line(argc, argv);
}
