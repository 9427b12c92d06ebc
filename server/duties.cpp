#include "server/duties.h"

#include <unistd.h>

#include <algorithm>

#include "common/log/log.h"
#include "server/exit_code.h"
#include "server/options.h"

namespace forkecho::server {
namespace {

ControlSocket open_or_share(asio::io_context& context, const std::string& path,
                            sys::Descriptor inherited, ControlSocket::Handler handler) {
  if (inherited && is_bound_to(inherited.get(), path))
    return {context, path, std::move(handler), std::move(inherited)};
  return {context, path, std::move(handler)};
}

bool is_among(const std::vector<int>& numbers, int number) {
  return std::ranges::find(numbers, number) != numbers.end();
}

}  // namespace

Duties::Duties(asio::io_context& context, const Options& options, Inheritance& inherited,
               ControlSocket::Handler handler)
    : ours_(!inherited.is_handover()),
      pid_file_(options.pidfile, std::move(inherited.pidfile)),
      control_(open_or_share(context, options.control, std::move(inherited.control),
                             std::move(handler))),
      manager_(ServiceManager::of_environment(ours_ ? ServiceManager::Origin::started
                                                    : ServiceManager::Origin::took_over)) {}

void Duties::take_up(const std::string& summary) {
  ours_ = true;
  name_in_pid_file(getpid());
  control_.open();
  manager_.ready(summary);
}

void Duties::hand_to(pid_t successor) {
  control_.shut();
  name_in_pid_file(successor);
  manager_.main_process(successor);
}

void Duties::take_back() {
  name_in_pid_file(getpid());
  manager_.main_process(getpid());
  control_.open();
}

void Duties::leave(const std::vector<int>& taken) {
  ours_ = false;
  manager_ = ServiceManager({}, sys::Duration::zero());
  if (is_among(taken, control_.fd())) control_.leave();
  if (is_among(taken, pid_file_.fd())) pid_file_.leave();
}

/// A full disk is no reason to end a daemon that serves.
void Duties::name_in_pid_file(pid_t pid) {
  try {
    pid_file_.write(pid);
  } catch (const FatalError& error) {
    log::error("{}", error.what());
  }
}

}  // namespace forkecho::server
