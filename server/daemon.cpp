#include "server/daemon.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/mp/process.h"
#include "common/mp/wait.h"
#include "common/sys/check_syscall.h"
#include "server/control_socket.h"
#include "server/status.h"
#include "server/supervisor.h"

namespace forkecho::server {
namespace {

constexpr auto answer_time = std::chrono::seconds(10);

/// What the daemon tells `start`: one byte of exit code, then the line for the user.
void report(int pipe, ExitCode code, const std::string& line) {
  const std::string message = static_cast<char>(code) + line;
  sys::retry_on_interrupt([&] { return write(pipe, message.data(), message.size()); });
  close(pipe);
}

void leave_the_terminal() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, standard);
  if (null > STDERR_FILENO) close(null);
}

void run_in_background(const Options& options, int pipe) {
  setsid();
  try {
    run_supervisor(options, [pipe] {
      leave_the_terminal();
      report(pipe, ExitCode::ok, "");
    });
  } catch (const FatalError& error) {
    report(pipe, error.code(), error.what());
    mp::leave(static_cast<int>(error.code()));
  } catch (const std::system_error& error) {
    report(pipe, ExitCode::system, error.what());
    mp::leave(static_cast<int>(ExitCode::system));
  }
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> chunk;
  for (;;) {
    const ssize_t length =
        sys::retry_on_interrupt([&] { return read(fd, chunk.data(), chunk.size()); });
    if (length <= 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(length));
  }
}

}  // namespace

void start_daemon(const Options& options) {
  std::array<int, 2> ends{};
  sys::check_syscall(pipe2(ends.data(), O_CLOEXEC), "pipe");
  const sys::Descriptor reader(ends[0]);
  sys::Descriptor writer(ends[1]);
  mp::Process daemon([&options, fd = writer.get()] { run_in_background(options, fd); });
  daemon.detach();
  daemon.start();
  writer.reset();
  const std::string message = read_all(reader.get());
  if (message.empty()) {
    daemon.join();
    throw FatalError(ExitCode::system, "the daemon ended before it was ready, with exit code " +
                                           std::to_string(*daemon.exitcode()));
  }
  const auto code = static_cast<ExitCode>(message.front());
  if (code != ExitCode::ok) throw FatalError(code, message.substr(1));
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
