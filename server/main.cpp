#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

#include "common/sys/check_syscall.h"
#include "common/sys/process_title.h"
#include "server/command_line.h"
#include "server/contradiction.h"
#include "server/daemon.h"
#include "server/final_status.h"
#include "server/handover.h"
#include "server/invocation.h"
#include "server/status_watch.h"
#include "server/successor.h"
#include "server/supervisor.h"

namespace {

using namespace forkecho;
using namespace forkecho::server;

/// To standard output; what did not arrive there has told nobody, and is an error.
void print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    sys::throw_errno(errno, "cannot write standard output");
}

void check(const CommandLine& command) {
  const std::string wrong = find_unusable(command.options);
  const auto& said = command.from_config;
  const bool by_file = std::find(said.begin(), said.end(), "listen") != said.end();
  if (!wrong.empty())
    throw FatalError(by_file ? ExitCode::config : ExitCode::usage,
                     (by_file ? command.config + ": " : "") + wrong);
  if (const std::string unwritable = find_unwritable(command.options.final_status);
      !unwritable.empty()) {
    throw FatalError(ExitCode::system, unwritable);
  }
  print("the configuration can be used\n");
}

void execute(const CommandLine& command, Inheritance&& inherited) {
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
    case Verb::upgrade:
      // Bounded by the daemon's own --upgrade-timeout, which may be none.
      return ask_daemon(command.control, "upgrade", sys::Deadline::never());
    case Verb::status:
      if (command.watch)
        return watch_status(
            {.control = command.control, .every = command.every, .json = command.json});
      return print(daemon_status(command.control, command.json));
    case Verb::check:
      return check(command);
    case Verb::reload:
      return ask_daemon(command.control, "reload", sys::Deadline::after(request_patience));
    case Verb::reopen_logs:
      return ask_daemon(command.control, "reopen-logs", sys::Deadline::after(request_patience));
  }
}

/// To standard error, and to the daemon that this one was to replace.
int fail(const Inheritance& inherited, ExitCode code, const char* line) {
  std::fprintf(stderr, "forkechod: %s\n", line);
  report_failure(inherited.channel, code, line);
  return static_cast<int>(code);
}

/// What is printed for errors of the command line is complete.
int fail(const Inheritance& inherited, const Parsed& parsed) {
  std::fputs(parsed.text.c_str(), stderr);
  report_failure(inherited.channel, parsed.code, parsed.text.substr(0, parsed.text.find('\n')));
  return static_cast<int>(parsed.code);
}

void run(const Parsed& parsed, int argc, char** argv, Inheritance&& inherited) {
  if (!parsed.command) return print(parsed.text);
  sys::remember_title_room(argc, argv);
  execute(*parsed.command, std::move(inherited));
}

}  // namespace

int main(int argc, char** argv) {
  Inheritance inherited;
  try {
    Invocation called_as = remember_invocation(argc, argv);
    inherited = take_inheritance();
    inherited.called_as = std::move(called_as);
    const Parsed parsed = parse_command_line(argc, argv);
    if (!parsed.command && parsed.code != ExitCode::ok) return fail(inherited, parsed);
    run(parsed, argc, argv, std::move(inherited));
    return 0;
  } catch (const FatalError& error) {
    return fail(inherited, error.code(), error.what());
  } catch (const std::system_error& error) {
    return fail(inherited, ExitCode::system, error.what());
  } catch (const std::exception& error) {
    return fail(inherited, ExitCode::bug, error.what());
  }
}
