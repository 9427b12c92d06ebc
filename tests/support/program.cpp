#include "tests/support/program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>

#include "common/sys/check_syscall.h"

namespace forkecho::tests {
namespace {

void redirect(int descriptor, const std::string& path, int flags) {
  const int file = sys::check_syscall(open(path.c_str(), flags | O_CLOEXEC, 0644), path);
  sys::check_syscall(dup2(file, descriptor), "dup2");
}

/// By its descriptor: whom the caller has become may have no way to the path.
void execute(int program, const std::string& path, Arguments arguments) {
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execveat(program, "", argv.data(), environ, AT_EMPTY_PATH);
  sys::throw_errno(errno, "cannot execute " + path);
}

}  // namespace

const std::string forkechod = FORKECHOD_PATH;
const std::string forkecho = FORKECHO_PATH;

Program::Program(const std::string& path, Arguments arguments, ProgramOptions options)
    : process_([this, path, arguments = std::move(arguments), options = std::move(options)] {
        if (options.own_session) setsid();
        if (!options.input.empty()) redirect(STDIN_FILENO, options.input, O_RDONLY);
        redirect(STDOUT_FILENO, output_.path("out"), O_WRONLY | O_CREAT | O_APPEND);
        redirect(STDERR_FILENO, output_.path("err"), O_WRONLY | O_CREAT | O_APPEND);
        // Far up: before_exec may need the low numbers, as service managers do.
        const int low = sys::check_syscall(open(path.c_str(), O_PATH | O_CLOEXEC), path);
        const int program = sys::check_syscall(fcntl(low, F_DUPFD_CLOEXEC, 200), "F_DUPFD_CLOEXEC");
        close(low);
        if (options.before_exec) options.before_exec();
        prctl(PR_SET_PDEATHSIG, SIGKILL);  // again: a change of user has cleared it
        execute(program, path, arguments);
      }) {
  process_.set_daemon(true);
  process_.start();
}

Program::~Program() {
  process_.kill();
  process_.join();
}

std::optional<int> Program::wait(sys::Deadline deadline) {
  process_.join(deadline);
  return process_.exitcode();
}

std::string Program::out() const {
  return content_of(output_.path("out"));
}

std::string Program::err() const {
  return content_of(output_.path("err"));
}

Outcome run_program(const std::string& path, Arguments arguments, ProgramOptions options,
                    sys::Deadline deadline) {
  Program program(path, std::move(arguments), std::move(options));
  const std::optional<int> exitcode = program.wait(deadline);
  return {.exitcode = exitcode, .out = program.out(), .err = program.err()};
}

void write_file(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary) << content;
}

bool is_one_line(std::string_view text) {
  return text.size() > 1 && text.find('\n') == text.size() - 1;
}

}  // namespace forkecho::tests
