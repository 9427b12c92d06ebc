// The handshake of a Manager: what both sides check before the first request.
//
//   client connects  ->  both see the other's user in the kernel's record (SO_PEERCRED)
//   server: greeting ->  client: the key  ->  server: verdict
//
// The key itself crosses, and no HMAC of a challenge as in CPython: the socket is a unix socket of
// this machine, whose other end the kernel vouches for (it is of the same user, or the connection
// ends before the key is sent), and nobody can listen in between. What the key keeps out are
// programs of the same user that were not given it, by mistake rather than by attack: such a
// program could also read this one's memory. Keys are compared in constant time all the same.
//
// The greeting comes after the server has opened a descriptor for the client's process: who answers
// it proves that this process was alive then, so that the descriptor is of no other that was given
// its number later.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/mp/codec.h"
#include "common/mp/current_process.h"
#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::mp {

/// The manager does not accept the key, or one side is of another user.
class AuthenticationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The manager has ended, has cut this client off, or does not answer. What the last call did
/// before that is not known.
class ManagerDied : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace managed {

/// The longest key in bytes.
inline constexpr std::size_t longest_key = 1024;
/// How long either side waits for the other during the handshake.
inline constexpr sys::Duration handshake_patience = std::chrono::seconds(10);

/// Whether both are the same, in a time that depends on their lengths alone.
bool equal_in_constant_time(BytesView a, BytesView b);

/// Who is at the other end of a connected unix socket, by the kernel's word.
struct Peer {
  pid_t pid;  // 0: in a namespace that cannot be seen from here
  uid_t uid;
};
Peer peer_of(int socket);

/// An address is "@" and a name in the abstract namespace: it exists while its socket does, and in
/// no file system.
std::string random_address();
/// Listens, close-on-exec and non-blocking. Throws std::system_error.
sys::Descriptor listen_at(const std::string& address);

/// The client's side, whole: connects, checks the server's user, shows the key. Throws
/// AuthenticationError, ManagerDied when nobody (or no manager) answers there before the deadline,
/// std::invalid_argument for what is no address, std::length_error for a key above longest_key.
sys::Descriptor connect_and_authenticate(const std::string& address, BytesView key,
                                         sys::Deadline deadline);

/// The server's side, in two moves that never wait. False: the client is not worth keeping.
bool send_greeting(int socket);
enum class Admission { not_yet, admitted, refused };
/// Reads the key, if it is there, and answers it.
Admission admit(int socket, BytesView key);

}  // namespace managed
}  // namespace forkecho::mp
