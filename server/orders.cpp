#include "server/orders.h"

#include <algorithm>
#include <array>
#include <csignal>

namespace forkecho::server {
namespace {

struct Request {
  std::string_view text;
  Order order;
};
constexpr std::array requests{
    Request{"status", Order::status},           Request{"reload", Order::reload},
    Request{"reopen-logs", Order::reopen_logs}, Request{"upgrade", Order::upgrade},
    Request{"stop", Order::stop_gently},        Request{"stop now", Order::quit},
};

}  // namespace

std::optional<Order> order_of_signal(int signal) {
  switch (signal) {
    case SIGTERM:
    case SIGINT:
      return Order::stop;
    case SIGQUIT:
      return Order::quit;
    case SIGCHLD:
      return Order::reap;
    case SIGHUP:
      return Order::reload;
    case SIGUSR1:
      return Order::reopen_logs;
    case SIGUSR2:
      return Order::upgrade;
    case SIGTTIN:
      return Order::grow;
    case SIGTTOU:
      return Order::shrink;
    default:
      return std::nullopt;
  }
}

std::optional<Order> order_of_request(std::string_view request) {
  const auto found = std::ranges::find(requests, request, &Request::text);
  return found == requests.end() ? std::nullopt : std::optional(found->order);
}

}  // namespace forkecho::server
