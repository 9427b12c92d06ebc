#include "server/accept_queue.h"

#include <gtest/gtest.h>

#include <vector>

#include "server/listener.h"
#include "tests/support/eventually.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

/// True once `listener` tells of `length` waiting clients: a handshake takes its moment.
testing::AssertionResult has_queue(const Listener& listener, std::uint32_t length) {
  std::optional<AcceptQueue> queue;
  const bool as_expected = tests::eventually(tests::patience(), [&] {
    queue = accept_queue_of(listener.fd());
    return queue && queue->length == length;
  });
  if (as_expected) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << (queue ? "the queue is " + std::to_string(queue->length) : "the kernel tells nothing");
}

class AcceptQueueOf : public testing::TestWithParam<const char*> {
 protected:
  std::string address() const {
    const std::string text = GetParam();
    return text == "unix:" ? text + directory_.path("s") : text;
  }
  tests::TempDir directory_;
};

TEST_P(AcceptQueueOf, CountsThoseWhoWaitAndTheRoom) {
  const Listener listener = Listener::open(tests::address_of(address()), 17);
  ASSERT_TRUE(has_queue(listener, 0));
  EXPECT_EQ(accept_queue_of(listener.fd())->limit, 17U);
  std::vector<sys::Descriptor> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(tests::connect_to(listener.address()));
  EXPECT_TRUE(has_queue(listener, 5));
  const auto accepted = listener.accept();
  EXPECT_TRUE(has_queue(listener, 4));
}

TEST_P(AcceptQueueOf, OnceItListensNoMoreThereIsNone) {
  const Listener listener = Listener::open(tests::address_of(address()), 17);
  if (listener.address().is_unix()) GTEST_SKIP() << "a unix listener stays one";
  listener.stop_listening();
  EXPECT_FALSE(accept_queue_of(listener.fd()));
}

INSTANTIATE_TEST_SUITE_P(Families, AcceptQueueOf,
                         testing::Values("127.0.0.1:0", "[::1]:0", "unix:"));

TEST(AcceptQueueOf, WhatDoesNotListenHasNone) {
  const tests::SocketPair tcp = tests::tcp_pair();
  EXPECT_FALSE(accept_queue_of(tcp.server.get()));
  const tests::SocketPair local = tests::unix_pair();
  EXPECT_FALSE(accept_queue_of(local.server.get()));
  EXPECT_FALSE(accept_queue_of(0));
}

}  // namespace
}  // namespace forkecho::server
