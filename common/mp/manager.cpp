#include "common/mp/manager.h"

#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <limits>
#include <stdexcept>
#include <utility>

#include "common/mp/lifeline.h"
#include "common/mp/manager_server.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp {
namespace {

using managed::ManagerOp;

/// The manager's process inherits all that its maker has open. Pipes of others would never come to
/// their end as long as it lives.
void close_all_but_standard_and(std::array<int, 2> kept) {
  constexpr unsigned last = std::numeric_limits<unsigned>::max();
  std::sort(kept.begin(), kept.end());
  unsigned first = STDERR_FILENO + 1;
  for (const int descriptor : kept) {
    if (descriptor < static_cast<int>(first)) continue;
    const auto spared = static_cast<unsigned>(descriptor);
    if (spared > first) syscall(SYS_close_range, first, spared - 1, 0);
    first = spared + 1;
  }
  syscall(SYS_close_range, first, last, 0);
}

/// Two descriptors for each thread of each client.
void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

[[noreturn]] void serve(int listener, const ManagerOptions& options) {
  close_all_but_standard_and({listener, Lifeline::of_this_process()});
  allow_many_descriptors();
  // Control-C at a terminal reaches the whole group: the clients decide when the manager ends.
  std::signal(SIGINT, SIG_IGN);
  managed::ManagerServer(sys::Descriptor(listener), options.authkey, options.handshake_patience)
      .run();
}

Encoder to_the_manager(ManagerOp op) {
  return managed::begin_request(managed::the_manager, managed::Kind::manager,
                                static_cast<std::uint32_t>(op));
}

std::string next_name() {
  static unsigned made = 0;
  return "Manager-" + std::to_string(++made);
}

}  // namespace

Manager::Manager(const ManagerOptions& options) : maker_(getpid()) {
  if (options.handshake_patience <= sys::Duration::zero())
    throw std::invalid_argument("a manager without patience for a handshake");
  const std::string address = managed::random_address();
  sys::Descriptor listener = managed::listen_at(address);
  process_.emplace([fd = listener.get(), &options] { serve(fd, options); });
  process_->set_name(next_name());
  process_->set_daemon(true);
  process_->start();
  listener.reset();  // or connecting to it would succeed after the server's end
  try {
    manager_ = managed::know_manager(address, options.authkey);
  } catch (...) {
    shutdown();
    throw;
  }
}

Manager Manager::connect(const std::string& address, const Bytes& authkey) {
  return Manager(managed::know_manager(address, authkey));
}

Manager::~Manager() {  // NOLINT(bugprone-exception-escape)
  if (process_ && maker_ == getpid()) shutdown();
}

void Manager::shutdown() {
  if (maker_ != getpid()) throw std::logic_error("shutdown of a manager that was made elsewhere");
  if (!process_) return;
  process_->kill();  // it has nothing to bring in order
  process_->join();
  process_.reset();
}

std::optional<pid_t> Manager::pid() const {
  return process_ ? process_->pid() : std::nullopt;
}

managed::ObjectId Manager::create(managed::Kind kind, std::uint64_t type, const Named& name,
                                  std::size_t capacity) const {
  Encoder packet = to_the_manager(ManagerOp::create);
  packet.put(kind);
  packet.put(type);
  packet.put(name.text);
  packet.put<std::uint64_t>(capacity);
  return managed::call(*manager_, packet.view()).results().get<managed::ObjectId>();
}

void Manager::remove(const managed::Proxy& object) const {
  if (object.manager().address() != address())
    throw std::logic_error("remove of an object of another manager");
  Encoder packet = to_the_manager(ManagerOp::remove);
  packet.put(object.id());
  managed::call(*manager_, packet.view());
}

std::size_t Manager::object_count() const {
  return managed::call(*manager_, to_the_manager(ManagerOp::count).view())
      .results()
      .get<std::uint64_t>();
}

}  // namespace forkecho::mp
