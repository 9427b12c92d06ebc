#include "server/process_context.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>

#include "common/log/log.h"
#include "common/mp/fork.h"
#include "common/sys/process_title.h"

namespace forkecho::server {
namespace {

void close_all_but(std::vector<int> kept) {
  kept.insert(kept.end(), {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
  std::sort(kept.begin(), kept.end());
  unsigned first = 0;
  for (const int fd : kept) {
    const auto last = static_cast<unsigned>(fd);
    if (first < last) syscall(SYS_close_range, first, last - 1, 0);
    first = std::max(first, last + 1);
  }
  syscall(SYS_close_range, first, ~0U, 0);
}

/// The supervisor's handlers wake the supervisor's loop, and are nothing for anybody else.
void forget_supervisors_handlers() {
  for (const int number :
       {SIGTERM, SIGINT, SIGQUIT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU}) {
    signal(number, SIG_DFL);
  }
}

}  // namespace

void settle_in(const ProcessContext& context, std::string_view title) {
  forget_supervisors_handlers();
  setpgid(0, 0);
  mp::die_with_parent(context.supervisor);
  sys::set_process_title("forkechod: " + std::string(title));
  std::vector<int> kept{log::descriptor()};
  for (const Listener& listener : context.listeners) kept.push_back(listener.fd());
  if (context.passing != nullptr) kept.push_back(context.passing->fileno());
  close_all_but(std::move(kept));
  auto& memory = context.pages.memory();
  const std::size_t own = context.page_index * sizeof(ProcessPage);
  memory.make_read_only(0, own);
  memory.make_read_only(own + sizeof(ProcessPage), memory.size() - own - sizeof(ProcessPage));
  for (const auto& elder : context.elders) {
    elder->memory().make_read_only(0, elder->memory().size());
  }
}

std::string describe_end(int exitcode) {
  return exitcode < 0 ? "was ended by signal " + std::to_string(-exitcode)
                      : "ended with exit code " + std::to_string(exitcode);
}

}  // namespace forkecho::server
