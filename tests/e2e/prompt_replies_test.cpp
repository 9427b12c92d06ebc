// No part of a reply waits for the client to acknowledge another. A client acknowledges late (40 ms
// on Linux) when it has nothing to send, and then a server that writes in small portions, or under
// Nagle's algorithm, lets its client wait: a request of 4 KiB took 42 ms so.
//
// Nothing here is timed. The client is made deaf, so that it acknowledges nothing at all, and the
// server's socket is asked what it holds back.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/daemon_under_test.h"
#include "tests/support/eventually.h"
#include "tests/support/server_side.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using Segments = std::vector<std::size_t>;  // bytes of each segment of a request

class PromptReply : public testing::TestWithParam<ModeUnderTest> {
 protected:
  void expect_reply_without_acknowledgment(const std::string& target, const Segments& request) {
    TestClient client(target);
    ASSERT_EQ(client.ask("hello").data, "HELLO");
    const ServerSide server = server_side_of(client.get(), daemon_.pid());
    ASSERT_TRUE(server.socket);
    const Outflow before = outflow_of(server.socket.get());
    drop_what_arrives(client.get());

    Outflow now;
    std::uint64_t asked = 0;
    for (const std::size_t size : request) {
      ASSERT_TRUE(client.send(std::string(size, 'a')));
      asked += size;
      ASSERT_TRUE(eventually(patience(), [&] {
        now = outflow_of(server.socket.get());
        return now.sent + now.unsent - before.sent == asked;
      }));
      EXPECT_EQ(now.unsent, 0U) << "held back after " << asked << " bytes";
    }
    EXPECT_EQ(now.segments - before.segments, request.size()) << "written in portions";

    let_arrive(client.get());
    EXPECT_EQ(client.receive(asked).data, std::string(asked, 'A'));
  }

  DaemonUnderTest daemon_{{.arguments = GetParam().arguments,
                           .listen = {"127.0.0.1:0", "[::1]:0"},
                           .control = {},
                           .program = {}}};
};

TEST_P(PromptReply, ToAWholeRequestIsOneSegment) {
  for (const std::string& target : daemon_.targets()) {
    SCOPED_TRACE(target);
    expect_reply_without_acknowledgment(target, {4096});
  }
}

TEST_P(PromptReply, ToTwoSegmentsWaitsForNoAcknowledgment) {
  for (const std::string& target : daemon_.targets()) {
    SCOPED_TRACE(target);
    expect_reply_without_acknowledgment(target, {2048, 2048});
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, PromptReply, testing::ValuesIn(all_modes), name_of_mode);

}  // namespace
}  // namespace forkecho::tests
