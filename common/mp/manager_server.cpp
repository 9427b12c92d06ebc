#include "common/mp/manager_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "common/mp/manager_handshake.h"
#include "common/mp/reap.h"
#include "common/mp/step.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp::managed {
namespace {

/// What epoll says of a descriptor: a client's number and which of its two it is.
constexpr std::uint64_t listener_tag = 0;
constexpr sys::Duration pause_when_out_of_descriptors = std::chrono::milliseconds(100);
/// Whoever connects faster than that, another user with it, must not keep the members waiting.
constexpr int most_accepts_a_turn = 64;
/// So many descriptors are not given to strangers: a large message of a member comes as one.
constexpr rlim_t reserve_for_messages = 8;
/// A client that is gone has at most an acknowledgement and a request behind it.
constexpr int most_last_packets = 4;

enum class Source : std::uint64_t { socket, process };

/// Numbers of clients begin with 1.
std::uint64_t tag_of(ClientId id, Source source) {
  return id << 1 | static_cast<std::uint64_t>(source);
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

}  // namespace

ManagerServer::ManagerServer(sys::Descriptor listener, Bytes authkey, sys::Duration patience)
    : listener_(std::move(listener)),
      authkey_(std::move(authkey)),
      patience_(patience),
      epoll_(sys::check_syscall(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  watch(listener_.get(), listener_tag);
}

void ManagerServer::run() {
  for (;;) turn();
}

sys::Deadline ManagerServer::next_deadline() const {
  const auto stranger =
      strangers_.empty() ? sys::Deadline::never() : sys::Deadline::at(strangers_.begin()->first);
  return earlier(accept_again_at_, earlier(stranger, objects_.next_deadline()));
}

void ManagerServer::turn() {
  std::array<epoll_event, 64> events;
  const int count = sys::retry_on_interrupt([&] {
    return epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                      next_deadline().poll_timeout_ms());
  });
  sys::check_syscall(count, "epoll_wait");
  for (int i = 0; i < count; ++i) {
    on_event(events[static_cast<std::size_t>(i)].data.u64);
    send_answers();
  }
  if (next_deadline().passed()) {
    if (accept_again_at_.passed()) accept_again();
    drop_late_strangers();
    objects_.expire(sys::Clock::now(), answers_);
    send_answers();
  }
}

void ManagerServer::on_event(std::uint64_t tag) {
  if (tag == listener_tag) return accept_strangers();
  const ClientId id = tag >> 1;
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;  // cut off a moment ago
  if (static_cast<Source>(tag & 1) == Source::process) return on_process_end(id);
  on_packet(id, found->second);
}

void ManagerServer::accept_strangers() {
  for (int left = most_accepts_a_turn; left > 0; --left) {
    if (!have_spares()) return stop_accepting_for_a_while();
    spares_[0].reset();
    const int socket = accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      receive_stranger(sys::Descriptor(socket));
    } else if (is_shortage(errno)) {
      return stop_accepting_for_a_while();
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      sys::throw_errno(errno, "accept4");
    }
  }
}

/// A stranger takes two descriptors: without the second it stays in the listener's queue and waits,
/// where an accepted one would be refused. Neither may be of those that are kept for messages.
bool ManagerServer::have_spares() {
  rlimit limit{};
  sys::check_syscall(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  for (sys::Descriptor& spare : spares_) {
    if (!spare) spare.reset(fcntl(listener_.get(), F_DUPFD_CLOEXEC, 0));
    if (!spare) return false;
    if (rlim_t(spare.get()) + reserve_for_messages < limit.rlim_cur) continue;
    spare.reset();  // a lower number may become free
    return false;
  }
  return true;
}

void ManagerServer::stop_accepting_for_a_while() {
  // The listener stays readable: without a pause the loop would spin.
  epoll_event event{.events = 0, .data = {.u64 = listener_tag}};
  sys::check_syscall(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event), "epoll_ctl");
  accept_again_at_ = sys::Deadline::after(pause_when_out_of_descriptors);
}

void ManagerServer::accept_again() {
  accept_again_at_ = sys::Deadline::never();
  epoll_event event{.events = EPOLLIN, .data = {.u64 = listener_tag}};
  sys::check_syscall(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event), "epoll_ctl");
}

void ManagerServer::receive_stranger(sys::Descriptor socket) {
  try {
    const Peer peer = peer_of(socket.get());
    if (peer.uid != geteuid()) return;
    spares_[1].reset();
    sys::Descriptor process = peer.pid == 0 ? sys::Descriptor() : open_sentinel(peer.pid);
    if (!send_greeting(socket.get())) return;
    const ClientId id = ++last_id_;
    watch(socket.get(), tag_of(id, Source::socket));
    if (process) watch(process.get(), tag_of(id, Source::process));
    const auto until = sys::Deadline::after(patience_);
    clients_.emplace(id, Client{Connection(std::move(socket)), std::move(process), until, false});
    strangers_.emplace(until.when(), id);
  } catch (const std::system_error&) {
    // It has ended already.
  }
}

void ManagerServer::watch(int descriptor, std::uint64_t tag) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = tag}};
  sys::check_syscall(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event), "epoll_ctl");
}

void ManagerServer::on_packet(ClientId id, Client& client) {
  if (client.admitted) {
    if (!serve_one(id, client)) cut_off(id);
    return;
  }
  const Admission admission = admit(client.connection.fileno(), authkey_);
  if (admission == Admission::not_yet) return;
  if (admission == Admission::refused) return cut_off(id);
  strangers_.erase({client.admit_before.when(), id});
  client.admitted = true;
}

void ManagerServer::on_process_end(ClientId id) {
  // What it sent before its end counts; a stranger has sent nothing that could.
  for (int left = most_last_packets; left > 0; --left) {
    const auto found = clients_.find(id);
    if (found == clients_.end() || !found->second.admitted) break;
    if (!found->second.connection.poll() || !serve_one(id, found->second)) break;
    send_answers();
  }
  cut_off(id);
}

/// Receives and applies one packet, if one is there. False when the client is to be cut off.
bool ManagerServer::serve_one(ClientId id, Client& client) {
  try {
    if (!client.connection.poll()) return true;
    FORKECHO_MP_STEP("manager_server.serve.begin");
    const auto packet = client.connection.recv_bytes();
    if (!packet) return false;
    FORKECHO_MP_STEP("manager_server.serve.received");
    objects_.apply(id, *packet, sys::Clock::now(), answers_);
    FORKECHO_MP_STEP("manager_server.serve.applied");
    return true;
  } catch (const std::system_error& error) {
    return error.code().value() == EAGAIN;
  } catch (const std::exception&) {
    return false;  // garbage, or a message for which there is no memory
  }
}

void ManagerServer::drop_late_strangers() {
  while (!strangers_.empty() && strangers_.begin()->first <= sys::Clock::now())
    cut_off(strangers_.begin()->second);
}

void ManagerServer::cut_off(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  if (!found->second.admitted) strangers_.erase({found->second.admit_before.when(), id});
  clients_.erase(found);  // closes both descriptors, which also ends their watch
  objects_.forget(id, answers_);
}

void ManagerServer::send_answers() {
  while (answers_.count() > 0) {
    auto batch = std::exchange(answers_.all(), {});
    for (auto& answer : batch) {
      if (!send_answer(answer)) cut_off(answer.to);  // which may lead to further answers
    }
  }
}

/// False when the client has gone, or has no room for an answer.
bool ManagerServer::send_answer(Answers::Answer& answer) {
  const auto found = clients_.find(answer.to);
  if (found == clients_.end()) return true;
  Connection& connection = found->second.connection;
  try {
    FORKECHO_MP_STEP("manager_server.answer.begin");
    const bool sent = connection.send_bytes(answer.packet.view(), sys::Deadline::immediately());
    FORKECHO_MP_STEP("manager_server.answer.sent");
    return sent;
  } catch (const std::length_error& error) {
    Answers instead;
    instead.error(answer.to, ErrorKind::length_error, error.what());
    return send_answer(instead.all().front());
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace forkecho::mp::managed
