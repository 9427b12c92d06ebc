#include "server/daemon.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "common/mp/connection.h"
#include "common/mp/process.h"
#include "common/mp/wait.h"
#include "common/sys/descriptor.h"
#include "server/control_socket.h"
#include "server/status.h"
#include "server/supervisor.h"

namespace forkecho::server {
namespace {

constexpr auto answer_time = std::chrono::seconds(10);

/// What the daemon tells `start`, once: how it went, and the line for the user.
struct Report {
  ExitCode code = ExitCode::ok;
  std::string line = {};
  void encode(mp::Encoder& to) const {
    to.put(code);
    to.put(line);
  }
  static Report decode(mp::Decoder& from) {
    const auto code = from.get<ExitCode>();
    return {code, from.get<std::string>()};
  }
};

/// Without effect when it has reported before, or when nobody waits for it any more.
void report(mp::Connection& starter, const Report& outcome) {
  if (starter.closed()) return;
  try {
    starter.send(outcome);
  } catch (const std::system_error&) {
  }
  starter.close();
}

void leave_the_terminal() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, standard);
  if (null > STDERR_FILENO) close(null);
}

[[noreturn]] void fail(mp::Connection& starter, ExitCode code, const std::string& line) {
  report(starter, {code, line});
  mp::leave(static_cast<int>(code));
}

void run_in_background(const Options& options, Inheritance inherited, mp::Connection& starter) {
  setsid();
  try {
    const auto on_ready = [&] {
      leave_the_terminal();
      report(starter, {});
    };
    run_supervisor(options, on_ready, std::move(inherited));
  } catch (const FatalError& error) {
    fail(starter, error.code(), error.what());
  } catch (const std::system_error& error) {
    fail(starter, ExitCode::system, error.what());
  }
}

}  // namespace

void start_daemon(const Options& options, Inheritance inherited) {
  mp::Pipe pipe(mp::Duplex::no);
  mp::Process daemon([&] {
    pipe.first.close();
    run_in_background(options, std::move(inherited), pipe.second);
  });
  daemon.detach();
  daemon.start();
  pipe.second.close();
  const auto outcome = pipe.first.recv<Report>();
  if (!outcome) {
    daemon.join();
    throw FatalError(ExitCode::system, "the daemon ended before it was ready, with exit code " +
                                           std::to_string(*daemon.exitcode()));
  }
  if (outcome->code != ExitCode::ok) throw FatalError(outcome->code, outcome->line);
}

void stop_daemon(const std::string& control, bool now, sys::Deadline deadline) {
  ControlClient client(control);
  const sys::Descriptor sentinel = client.daemon_sentinel();
  client.ask(now ? "stop now" : "stop", sys::Deadline::after(answer_time));
  if (mp::wait({sentinel.get()}, deadline).empty()) {
    throw FatalError(
        ExitCode::system,
        "the daemon still drains; wait longer (--timeout), or end it with 'forkechod stop --now'");
  }
}

std::string daemon_status(const std::string& control, bool json) {
  const std::string answer =
      ControlClient(control).ask("status", sys::Deadline::after(answer_time));
  return json ? answer : to_text(nlohmann::ordered_json::parse(answer));
}

}  // namespace forkecho::server
