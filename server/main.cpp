#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

#include "common/sys/check_syscall.h"
#include "common/sys/process_title.h"
#include "server/command_line.h"
#include "server/daemon.h"
#include "server/supervisor.h"

namespace {

using namespace forkecho;
using namespace forkecho::server;

/// To standard output; what did not arrive there has told nobody, and is an error.
void print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    sys::throw_errno(errno, "cannot write standard output");
}

void execute(const CommandLine& command, Inheritance inherited) {
  switch (command.verb) {
    case Verb::run:
      return run_supervisor(
          command.options, [] {}, std::move(inherited));
    case Verb::start:
      return start_daemon(command.options, std::move(inherited));
    case Verb::stop:
      return stop_daemon(command.control, command.now,
                         command.timeout == sys::Duration::zero()
                             ? sys::Deadline::never()
                             : sys::Deadline::after(command.timeout));
    case Verb::status:
      return print(daemon_status(command.control, command.json));
  }
}

int fail(ExitCode code, const char* line) {
  std::fprintf(stderr, "forkechod: %s\n", line);
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  Inheritance inherited;
  try {
    inherited = take_inheritance();
  } catch (const FatalError& error) {
    return fail(error.code(), error.what());
  }
  const Parsed parsed = parse_command_line(argc, argv);
  if (!parsed.command && parsed.code != ExitCode::ok) {
    std::fputs(parsed.text.c_str(), stderr);
    return static_cast<int>(parsed.code);
  }
  try {
    if (!parsed.command) {
      print(parsed.text);
      return 0;
    }
    sys::remember_title_room(argc, argv);
    execute(*parsed.command, std::move(inherited));
    return 0;
  } catch (const FatalError& error) {
    return fail(error.code(), error.what());
  } catch (const std::system_error& error) {
    return fail(ExitCode::system, error.what());
  } catch (const std::exception& error) {
    return fail(ExitCode::bug, error.what());
  }
}
