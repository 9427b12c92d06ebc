// Orders: what a signal, or a request on the control socket, asks of the daemon. Pure; the
// supervisor carries them out.
#pragma once

#include <optional>
#include <string_view>

namespace forkecho::server {

enum class Order {
  stop,         // drain; once more: end at once
  stop_gently,  // drain, and never anything more: asking twice is no impatience
  quit,         // end at once
  reap,
  reload,
  reopen_logs,
  upgrade,
  grow,    // the pool, by one
  shrink,  // the same
  status,
};

/// Of the signals that README names (TERM, INT, QUIT, CHLD, HUP, USR1, USR2, TTIN, TTOU); empty for
/// any other.
std::optional<Order> order_of_signal(int signal);
/// Of a line on the control socket; empty when it is none.
std::optional<Order> order_of_request(std::string_view request);

}  // namespace forkecho::server
