#include "common/mp/manager_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "common/mp/child_registry.h"
#include "common/mp/connection.h"
#include "common/mp/step.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp::managed {
namespace {

/// The calling thread's connection to one manager.
struct Link {
  std::uint64_t manager;  // its serial number
  pid_t process;          // that opened it
  Connection connection;
};

void close_link(Link& link) {
  // An end of file for the server, also where a forked child holds a copy of the socket. A child
  // must not do that to its parent's.
  if (link.process == getpid()) shutdown(link.connection.fileno(), SHUT_RDWR);
  link.connection.close();
}

/// By pointer, so that it can be asked for while the thread's objects are destroyed, and after.
thread_local std::vector<Link>* links_of_thread = nullptr;

struct LinksEnd {
  ~LinksEnd() {
    if (links_of_thread == nullptr) return;
    for (Link& link : *links_of_thread) close_link(link);
    delete std::exchange(links_of_thread, nullptr);
  }
};

std::vector<Link>& links() {
  thread_local LinksEnd end;
  static_cast<void>(end);
  if (links_of_thread == nullptr) links_of_thread = new std::vector<Link>;
  // `end` ends with the thread, not with this block.
  return *links_of_thread;  // NOLINT(clang-analyzer-cplusplus.NewDelete)
}

void drop_link(const KnownManager& manager) {
  if (links_of_thread == nullptr) return;
  std::erase_if(*links_of_thread, [&](Link& link) {
    if (link.manager != manager.serial()) return false;
    close_link(link);
    return true;
  });
}

Connection& connection_to(const KnownManager& manager) {
  auto& all = links();
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const Link& link) { return link.manager == manager.serial(); });
  const pid_t process = getpid();
  if (found != all.end() && found->process == process) return found->connection;
  if (found != all.end()) drop_link(manager);  // the parent's, inherited
  sys::Descriptor socket = connect_and_authenticate(manager.address(), manager.authkey(),
                                                    sys::Deadline::after(handshake_patience));
  return all.emplace_back(Link{manager.serial(), process, Connection(std::move(socket))})
      .connection;
}

std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

using KnownManagers = std::map<std::string, std::weak_ptr<const KnownManager>>;

/// By address. Looked at under the RegistryGuard, which is held while a process is forked: so a
/// child finds it whole.
KnownManagers& known_managers() {
  static KnownManagers& known = *new KnownManagers;  // never destroyed: static proxies come last
  return known;
}

/// nullptr when there is none.
ManagerHandle find_known(const std::string& address) {
  const RegistryGuard guard;
  const KnownManagers& known = known_managers();
  const auto found = known.find(address);
  return found == known.end() ? nullptr : found->second.lock();
}

void remember(const ManagerHandle& handle) {
  const RegistryGuard guard;
  KnownManagers& known = known_managers();
  known[handle->address()] = handle;
  std::erase_if(known, [](const auto& each) { return each.second.expired(); });
}

[[noreturn]] void throw_ended(const KnownManager& manager) {
  drop_link(manager);
  throw ManagerDied("the manager at " + manager.address() +
                    " has ended, or has cut this client off");
}

sys::Deadline some_time_after(sys::Deadline deadline) {
  constexpr sys::Duration year = std::chrono::hours(24 * 365);
  return sys::Deadline::after(std::min(deadline.remaining(), year) + answer_patience);
}

/// Runs what sends and receives; a connection that is broken is a manager that died.
template <typename Deed>
auto on_connection(const KnownManager& manager, Deed deed) {
  Connection& connection = connection_to(manager);
  try {
    return deed(connection);
  } catch (const std::system_error& error) {
    const int code = error.code().value();
    if (code != EPIPE && code != ECONNRESET) throw;
  }
  throw_ended(manager);
}

[[noreturn]] void throw_as(ErrorKind kind, const std::string& text) {
  switch (kind) {
    case ErrorKind::logic_error:
      throw std::logic_error(text);
    case ErrorKind::out_of_range:
      throw std::out_of_range(text);
    case ErrorKind::length_error:
      throw std::length_error(text);
    case ErrorKind::invalid_argument:
      throw std::invalid_argument(text);
    case ErrorKind::other:
      break;
  }
  throw std::runtime_error("in the manager: " + text);
}

}  // namespace

KnownManager::KnownManager(std::string address, Bytes authkey)
    : address_(std::move(address)), authkey_(std::move(authkey)), serial_(next_serial()) {}

KnownManager::~KnownManager() {
  drop_link(*this);
}

ManagerHandle know_manager(const std::string& address, const Bytes& authkey) {
  ManagerHandle handle = find_known(address);
  if (!handle || handle->authkey() != authkey)
    handle = std::make_shared<const KnownManager>(address, authkey);
  connection_to(*handle);
  remember(handle);
  return handle;
}

ManagerHandle known_manager(const std::string& address) {
  if (ManagerHandle handle = find_known(address)) return handle;
  throw AuthenticationError("no key for the manager at " + address +
                            ": Manager::connect to it before using its objects");
}

Reply::Reply(Bytes packet) : packet_(std::move(packet)), results_(packet_) {
  if (results_.get<Status>() == Status::ok) return;
  const auto kind = results_.get<ErrorKind>();
  throw_as(kind, results_.get<std::string>());
}

Reply call(const KnownManager& manager, BytesView request, sys::Deadline deadline) {
  auto packet = on_connection(manager, [&](Connection& connection) {
    FORKECHO_MP_STEP("manager.call.begin");
    connection.send_bytes(request);
    FORKECHO_MP_STEP("manager.call.sent");
    if (!deadline.is_never() && !connection.poll(some_time_after(deadline))) {
      drop_link(manager);
      throw ManagerDied("the manager at " + manager.address() + " does not answer");
    }
    return connection.recv_bytes();
  });
  if (!packet) throw_ended(manager);
  FORKECHO_MP_STEP("manager.call.answered");
  return Reply(std::move(*packet));
}

void tell(const KnownManager& manager, BytesView message) {
  on_connection(manager, [&](Connection& connection) { connection.send_bytes(message); });
}

Encoder begin_request(ObjectId object, Kind kind, std::uint32_t op, sys::Deadline deadline) {
  Encoder request;
  request.put(RequestHeader{object, kind, op, to_wire(deadline)});
  return request;
}

}  // namespace forkecho::mp::managed
