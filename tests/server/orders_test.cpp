#include "server/orders.h"

#include <gtest/gtest.h>

#include <csignal>
#include <utility>
#include <vector>

namespace forkecho::server {
namespace {

TEST(Orders, EachSignalHasItsMeaning) {
  const std::vector<std::pair<int, Order>> meanings{
      {SIGTERM, Order::stop},    {SIGINT, Order::stop},   {SIGQUIT, Order::quit},
      {SIGCHLD, Order::reap},    {SIGHUP, Order::reload}, {SIGUSR1, Order::reopen_logs},
      {SIGUSR2, Order::upgrade}, {SIGTTIN, Order::grow},  {SIGTTOU, Order::shrink},
  };
  for (const auto& [signal, order] : meanings) EXPECT_EQ(order_of_signal(signal), order) << signal;
  EXPECT_EQ(order_of_signal(SIGWINCH), std::nullopt);
}

TEST(Orders, EachRequestHasItsMeaning) {
  const std::vector<std::pair<const char*, Order>> meanings{
      {"status", Order::status},           {"reload", Order::reload},
      {"reopen-logs", Order::reopen_logs}, {"upgrade", Order::upgrade},
      {"stop", Order::stop_gently},        {"stop now", Order::quit},
  };
  for (const auto& [text, order] : meanings) EXPECT_EQ(order_of_request(text), order) << text;
}

TEST(Orders, NothingElseIsARequest) {
  for (const char* text : {"", "dance", "STOP", "stop ", "stop nowadays", " status"})
    EXPECT_EQ(order_of_request(text), std::nullopt) << text;
}

}  // namespace
}  // namespace forkecho::server
