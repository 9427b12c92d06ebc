#include "server/process_context.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <string>

#include "common/log/log.h"
#include "common/mp/fork.h"
#include "common/sys/process_title.h"
#include "server/access_log.h"

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

void protect(AdmissionMemory& admission, std::optional<std::size_t> own) {
  if (admission.sources) admission.sources->protect_all_but(own);
  if (admission.stress) {
    auto& memory = admission.stress->memory();
    memory.make_read_only(0, memory.size());
  }
}

void settle_in(const CommonContext& context, std::string_view title) {
  forget_supervisors_handlers();
  setpgid(0, 0);
  if (context.confinement != nullptr) context.confinement->give_up_privileges();
  mp::die_with_parent(context.supervisor);  // after a change of identity, which cancels it
  sys::set_process_title("forkechod: " + std::string(title));
  log::use_relay();
  std::vector<int> kept{log::descriptor()};
  for (const Listener& listener : context.listeners) kept.push_back(listener.fd());
  use_access_relay();
  if (has_access_log()) kept.push_back(access_log_descriptor());
  if (context.pipe >= 0) kept.push_back(context.pipe);
  close_all_but(std::move(kept));
}

void settle_in(const ProcessContext& context, std::string_view title) {
  settle_in(CommonContext{.listeners = context.listeners,
                          .supervisor = context.supervisor,
                          .confinement = context.confinement,
                          .pipe = context.passing != nullptr ? context.passing->fileno() : -1},
            title);
  log::count_losses_in(context.page().log_lost);
  auto& memory = context.pages.memory();
  const std::size_t own = context.page_index * sizeof(ProcessPage);
  memory.make_read_only(0, own);
  memory.make_read_only(own + sizeof(ProcessPage), memory.size() - own - sizeof(ProcessPage));
  protect(context.pages.admission, context.page_index);
  for (const auto& elder : context.elders) {
    protect(elder->admission, std::nullopt);
    elder->memory().make_read_only(0, elder->memory().size());
  }
}

void restrict_calls(const ProcessContext& context, Role role) {
  if (context.confinement != nullptr) context.confinement->restrict_calls(role);
}

std::string describe_end(int exitcode) {
  return exitcode < 0 ? "was ended by signal " + std::to_string(-exitcode)
                      : "ended with exit code " + std::to_string(exitcode);
}

}  // namespace forkecho::server
