// What ps shows of a process. A forked child has its parent's command line; here it says instead
// what it does: "forkechod: serving 127.0.0.1:40112".
//
// remember_title_room is called once, first thing in main; set_process_title afterwards, in any
// process forked from it. Without the first, the second does nothing. Not safe between threads.
#pragma once

#include <string_view>

namespace forkecho::sys {

/// Keeps the place of the arguments and of the environment behind them. Both move to the heap: argv
/// and environ can be used as before, a pointer taken from them earlier cannot.
void remember_title_room(int argc, char** argv);

/// Writes `title` over the place of the arguments, cut to its length; the first call ends the use
/// of argv. No system call, no allocation: safe in a child that was just forked, and in a signal
/// handler. A parent that sets a title of its own before it forks saves each child the clearing.
void set_process_title(std::string_view title);

}  // namespace forkecho::sys
