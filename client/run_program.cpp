#include "client/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"

namespace forkecho::client {
namespace {

constexpr int cannot_execute = 127;  // as a shell says it

/// In the child: becomes the program.
[[noreturn]] void become(const std::vector<std::string>& argv) {
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(cannot_execute);
}

/// A Ctrl-C is for the caller, who knows what is to become of its programs.
void leave_the_terminal() {
  setpgid(0, 0);
}

void send_to_file(const char* path, int flags, std::initializer_list<int> descriptors) {
  const int file = sys::check_syscall(open(path, flags | O_CLOEXEC, 0600), path);
  for (const int descriptor : descriptors) sys::check_syscall(dup2(file, descriptor), "dup2");
}

struct Pipe {
  sys::Descriptor reading;
  sys::Descriptor writing;
};

Pipe make_pipe() {
  std::array<int, 2> ends;
  sys::check_syscall(pipe2(ends.data(), O_CLOEXEC), "pipe");
  return {sys::Descriptor(ends[0]), sys::Descriptor(ends[1])};
}

/// Until the end of file; false when the deadline passed first.
bool read_all(int descriptor, std::string& output, sys::Deadline deadline) {
  std::array<char, 4096> part;
  for (;;) {
    pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
    const int ready = poll(&waiting, 1, deadline.poll_timeout_ms());
    if (ready == 0) return false;
    if (ready < 0) {
      if (errno == EINTR) continue;
      sys::throw_errno(errno, "poll");
    }
    const ssize_t got =
        sys::retry_on_interrupt([&] { return read(descriptor, part.data(), part.size()); });
    if (got <= 0) return true;
    output.append(part.data(), static_cast<std::size_t>(got));
  }
}

bool is_executable_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& argv, sys::Deadline deadline) {
  Pipe pipe = make_pipe();
  mp::Process program([&argv, writing = pipe.writing.get()] {
    leave_the_terminal();
    sys::check_syscall(dup2(writing, STDOUT_FILENO), "dup2");
    send_to_file("/dev/null", O_WRONLY, {STDERR_FILENO});
    become(argv);
  });
  program.set_daemon(true);
  program.start();
  pipe.writing.reset();
  ProgramResult result;
  const bool ended =
      read_all(pipe.reading.get(), result.output, deadline) && program.join(deadline);
  if (ended) {
    result.exitcode = program.exitcode();
  } else {
    program.kill();
    program.join();
  }
  return result;
}

mp::Process background_program(const std::vector<std::string>& argv,
                               const std::filesystem::path& log, const Processors& processors) {
  mp::Process program([argv, log, processors] {
    leave_the_terminal();
    pin_this_process(processors);
    send_to_file(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, {STDOUT_FILENO, STDERR_FILENO});
    become(argv);
  });
  program.set_daemon(true);
  return program;
}

std::optional<std::filesystem::path> search_path(const std::string& path, const std::string& name) {
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const auto candidate = std::filesystem::path(path.substr(begin, end - begin)) / name;
    if (is_executable_file(candidate)) return candidate;
    begin = end + 1;
  }
  return std::nullopt;
}

std::optional<std::filesystem::path> find_program(const std::string& name) {
  std::error_code unknown;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (!unknown && is_executable_file(self.parent_path() / name)) return self.parent_path() / name;
  const char* path = std::getenv("PATH");
  return path == nullptr ? std::nullopt : search_path(path, name);
}

}  // namespace forkecho::client
