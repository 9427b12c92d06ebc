#include "server/upgrade.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "common/sys/check_syscall.h"
#include "common/sys/duration.h"

namespace forkecho::server {
namespace {

/// What a killed process needs at most to be gone.
constexpr auto dying_time = std::chrono::seconds(1);

std::optional<int> parse_number(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

std::string_view cut_word(std::string_view& text) {
  const auto end = text.find(' ');
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

std::optional<SuccessorReport> decode_ready(std::string_view text) {
  SuccessorReport report;
  while (!text.empty()) {
    const auto fd = parse_number(cut_word(text));
    if (!fd) return std::nullopt;
    report.taken.push_back(*fd);
  }
  return report;
}

std::optional<SuccessorReport> decode_error(std::string_view text) {
  const auto code = parse_number(cut_word(text));
  if (!code) return std::nullopt;
  return SuccessorReport{.kind = SuccessorReport::Kind::error,
                         .taken = {},
                         .code = static_cast<ExitCode>(*code),
                         .line = std::string(text)};
}

/// What exec needs; made before the fork, because nothing of it can fail then.
[[noreturn]] void execute(const Invocation& invocation, const Handover& handover) {
  syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  for (const int fd : handover.descriptors()) fcntl(fd, F_SETFD, 0);
  setenv(handover_variable, encode(handover).c_str(), 1);
  std::vector<char*> arguments;
  for (const std::string& argument : invocation.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(invocation.program.c_str(), arguments.data());
  const std::string line = "cannot execute '" + invocation.program + "': " + std::strerror(errno);
  const std::string message = encode(SuccessorReport{
      .kind = SuccessorReport::Kind::error, .taken = {}, .code = ExitCode::system, .line = line});
  send(handover.channel, message.data(), message.size(), MSG_NOSIGNAL);
  _exit(static_cast<int>(ExitCode::system));
}

std::string how_it_ended(const std::optional<int>& exitcode) {
  if (!exitcode) return "closed its report before it was ready";
  if (*exitcode < 0) return fmt::format("was ended by signal {} before it was ready", -*exitcode);
  return fmt::format("ended with exit code {} before it was ready", *exitcode);
}

}  // namespace

std::string encode(const SuccessorReport& report) {
  switch (report.kind) {
    case SuccessorReport::Kind::error:
      return fmt::format("error {} {}", static_cast<int>(report.code), report.line)
          .substr(0, longest_message);
    case SuccessorReport::Kind::done:
      return "done";
    case SuccessorReport::Kind::ready:
      break;
  }
  std::string message = "ready";
  for (const int fd : report.taken) message += fmt::format(" {}", fd);
  return message;
}

std::optional<SuccessorReport> decode_report(std::string_view message) {
  const std::string_view kind = cut_word(message);
  if (kind == "ready") return decode_ready(message);
  if (kind == "error") return decode_error(message);
  if (kind == "done" && message.empty())
    return SuccessorReport{
        .kind = SuccessorReport::Kind::done, .taken = {}, .code = ExitCode::ok, .line = {}};
  return std::nullopt;
}

Upgrade::Upgrade(asio::io_context& context, sys::Duration timeout, Events events)
    : channel_(context), timer_(context), timeout_(timeout), events_(std::move(events)) {}

void Upgrade::start(const Invocation& invocation, Handover handover) {
  int ends[2];
  sys::check_syscall(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
  channel_.assign(ends[0]);
  const sys::Descriptor theirs(ends[1]);
  handover.channel = theirs.get();
  process_.emplace(mp::ProcessOptions{.keep_stdin = true, .detached = true},
                   [&invocation, handover] { execute(invocation, handover); });
  process_->start();
  set_timer();
  listen();
}

void Upgrade::listen() {
  channel_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const asio::error_code& error) {
                        if (!error && !self->over_) self->on_message();
                      });
}

void Upgrade::set_timer() {
  if (timeout_ == sys::Duration::zero()) return;
  timer_.expires_after(timeout_);
  timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
    if (!error) self->give_up("was not ready within " + sys::format_duration(self->timeout_));
  });
}

void Upgrade::on_message() {
  std::array<char, longest_message> message;
  const ssize_t size = recv(channel_.native_handle(), message.data(), message.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return listen();
  if (size <= 0) return on_end_of_stream();
  const auto report = decode_report({message.data(), static_cast<std::size_t>(size)});
  if (!report) return give_up("said something that is not understood");
  on_report(*report);
  if (!over_) listen();
}

void Upgrade::on_report(const SuccessorReport& report) {
  switch (report.kind) {
    case SuccessorReport::Kind::error:
      return give_up("did not start: " + report.line);
    case SuccessorReport::Kind::ready:
      if (ready_) return give_up("was ready twice");
      ready_ = true;
      set_timer();
      return events_.is_ready(report.taken);
    case SuccessorReport::Kind::done:
      if (!ready_) return give_up("took over before it was ready");
      over_ = true;
      timer_.cancel();
      return events_.replaced();
  }
}

void Upgrade::on_end_of_stream() {
  process_->join(sys::Deadline::after(dying_time / 10));
  const auto exitcode = process_->exitcode();
  give_up(ready_ ? "ended in the moment of taking over" : how_it_ended(exitcode));
}

bool Upgrade::take_over() {
  return send(channel_.native_handle(), yours.data(), yours.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >=
         0;
}

void Upgrade::give_up(const std::string& why) {
  if (over_) return;
  over_ = true;
  timer_.cancel();
  process_->kill();
  process_->join(sys::Deadline::after(dying_time));
  asio::error_code ignored;
  channel_.close(ignored);
  events_.failed("the new program " + why);
}

}  // namespace forkecho::server
