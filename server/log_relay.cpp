#include "server/log_relay.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "common/sys/check_syscall.h"

namespace forkecho::server {
namespace {

constexpr int wanted_room = 1 << 20;
constexpr std::size_t turn = 64 * 1024;

struct Ends {
  sys::Descriptor reader;
  sys::Descriptor writer;
};

Ends make_pipe() {
  std::array<int, 2> ends{};
  sys::check_syscall(pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), "pipe2");
  fcntl(ends[1], F_SETPIPE_SZ, wanted_room);  // else it has the default, 64 KiB
  return {.reader = sys::Descriptor(ends[0]), .writer = sys::Descriptor(ends[1])};
}

}  // namespace

LogRelay::LogRelay(asio::io_context& context, Append append)
    : reader_(context), append_(std::move(append)) {
  Ends ends = make_pipe();
  reader_.assign(ends.reader.release());
  writer_ = std::move(ends.writer);
  wait();
}

void LogRelay::wait() {
  reader_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& e) {
    if (e) return;
    pass_on();
    wait();
  });
}

void LogRelay::pass_on_all() {
  while (pass_on()) {
  }
}

bool LogRelay::pass_on() {
  std::array<char, turn> chunk;
  const ssize_t got = sys::retry_on_interrupt(
      [&] { return read(reader_.native_handle(), chunk.data(), chunk.size()); });
  if (got <= 0) return false;
  begun_.append(chunk.data(), static_cast<std::size_t>(got));
  if (begun_.size() > turn + PIPE_BUF && begun_.back() != '\n') begun_ += '\n';
  const auto end = begun_.rfind('\n');
  if (end == std::string::npos) return true;
  append_(std::string_view(begun_).substr(0, end + 1));
  begun_.erase(0, end + 1);
  return true;
}

}  // namespace forkecho::server
