// ManagerServer: the process behind a Manager: one thread, one epoll loop, a connection for each
// thread of each client. It decides nothing about the objects (manager_objects.h); it admits,
// receives, sends, and notices who has gone.
//
// No client can make it wait. A client has one request under way at a time, so its socket always
// has room for the answer: where there is none, the client sends and does not read, and is cut off,
// as is one that sends what no client of ours sends. A stranger that does not complete the
// handshake is cut off when its time is over. A request that must wait (an empty queue, a lock that
// is held) is parked in the state, with its deadline.
//
// A client is gone at the end of file on its connection, or at the end of its process, whichever is
// first: where a process was forked with the connection open, its child holds the socket open
// without knowing, and no end of file comes.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <unordered_map>
#include <utility>

#include "common/mp/codec.h"
#include "common/mp/connection.h"
#include "common/mp/manager_objects.h"
#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::mp::managed {

class ManagerServer {
 public:
  /// `listener` as of listen_at. A stranger has `patience` to complete the handshake.
  ManagerServer(sys::Descriptor listener, Bytes authkey, sys::Duration patience);
  /// Serves until the process is killed. Throws std::system_error when the system fails it.
  [[noreturn]] void run();

 private:
  struct Client {
    Connection connection;
    sys::Descriptor
        process;  // polls readable at the client's death; none: not to be seen from here
    sys::Deadline admit_before;
    bool admitted;
  };

  void turn();
  sys::Deadline next_deadline() const;
  void on_event(std::uint64_t tag);
  void accept_strangers();
  bool have_spares();
  void stop_accepting_for_a_while();
  void accept_again();
  void receive_stranger(sys::Descriptor socket);
  void watch(int descriptor, std::uint64_t tag);
  void on_packet(ClientId id, Client& client);
  void on_process_end(ClientId id);
  bool serve_one(ClientId id, Client& client);
  void drop_late_strangers();
  void cut_off(ClientId id);
  void send_answers();
  bool send_answer(Answers::Answer& answer);

  sys::Descriptor listener_;
  Bytes authkey_;
  sys::Duration patience_;
  sys::Descriptor epoll_;
  std::array<sys::Descriptor, 2> spares_;  // kept for the next stranger: its socket, its process
  ManagerObjects objects_;
  Answers answers_;
  std::unordered_map<ClientId, Client> clients_;
  std::set<std::pair<sys::Clock::time_point, ClientId>> strangers_;  // by the end of their time
  ClientId last_id_ = 0;
  sys::Deadline accept_again_at_ = sys::Deadline::never();
};

}  // namespace forkecho::mp::managed
