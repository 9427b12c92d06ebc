#include "server/metrics_conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "tests/support/eventually.h"
#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/// A scraper and the exporter's end of its connection.
class MetricsConversationTest : public testing::Test {
 protected:
  explicit MetricsConversationTest(MetricsPatience patience = {})
      : MetricsConversationTest(tests::unix_pair(), patience) {}

  /// Lets the conversation go on until it is over, or until `enough`.
  void go_on(const std::function<bool()>& enough = [] { return false; }) {
    const auto deadline = tests::patience();
    while (!conversation_.over() && !enough() && !deadline.passed()) {
      pollfd entry{.fd = conversation_.socket(), .events = conversation_.events(), .revents = 0};
      poll(&entry, 1, 1);
      if (entry.revents != 0) conversation_.on_ready();
      conversation_.check_time();
    }
  }
  /// What the client gets, which sends and ends.
  std::string reply_to(const std::string& sent) {
    EXPECT_TRUE(tests::send_all(client_.get(), sent));
    std::string reply;
    go_on([&] {
      reply += tests::receive(client_.get(), 1 << 20, sys::Deadline::immediately()).data;
      return reply.size() > body_.size() && reply.ends_with(body_);
    });
    return reply + tests::receive(client_.get(), 1 << 20, sys::Deadline::immediately()).data;
  }

  MetricsReply asked_ = MetricsReply::unavailable;
  std::string body_ = "body\n";
  const MetricsConversation::Answer answer_ = [this](MetricsReply asked_for) {
    asked_ = asked_for;
    return MetricsConversation::Body{.status = asked_for, .text = body_};
  };
  sys::Descriptor client_;
  MetricsConversation conversation_;

 private:
  MetricsConversationTest(tests::SocketPair pair, MetricsPatience patience)
      : client_(std::move(pair.client)), conversation_(std::move(pair.server), answer_, patience) {}
};

TEST_F(MetricsConversationTest, AnswersAndEnds) {
  EXPECT_EQ(reply_to(request),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            "Content-Length: 5\r\nConnection: close\r\n\r\nbody\n");
  EXPECT_EQ(asked_, MetricsReply::metrics);
  EXPECT_FALSE(conversation_.over());  // until the client has ended, too
  client_.reset();
  go_on();
  EXPECT_TRUE(conversation_.over());
}

TEST_F(MetricsConversationTest, ARequestMayComeLetterByLetter) {
  for (const char letter : request) {
    ASSERT_TRUE(tests::send_all(client_.get(), std::string(1, letter)));
    conversation_.on_ready();
  }
  EXPECT_THAT(reply_to(""), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(MetricsConversationTest, HeadHasNoBodyAndTheSameHeader) {
  const std::string reply = reply_to("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(reply, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(reply, EndsWith("\r\n\r\n"));
}

TEST_F(MetricsConversationTest, AWrongMethodIsToldTheRightOnes) {
  const std::string reply = reply_to("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(reply, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
}

TEST_F(MetricsConversationTest, WhatIsNoRequestIsTold) {
  EXPECT_THAT(reply_to("\x16\x03\x01"), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
}

TEST_F(MetricsConversationTest, ARequestWithoutEndIsRefused) {
  EXPECT_THAT(reply_to("GET /" + std::string(longest_metrics_request, 'x')),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(MetricsConversationTest, AClientThatLeavesEarlyIsForgotten) {
  ASSERT_TRUE(tests::send_all(client_.get(), "GET /met"));
  client_.reset();
  go_on();
  EXPECT_TRUE(conversation_.over());
  EXPECT_EQ(asked_, MetricsReply::unavailable);
}

TEST_F(MetricsConversationTest, AClientThatNeverStopsSendingIsEnded) {
  const std::string junk(1 << 16, 'x');
  ASSERT_TRUE(tests::send_all(client_.get(), request));
  go_on([&] {
    tests::send_some(client_.get(), junk);
    return false;
  });
  EXPECT_TRUE(conversation_.over());
}

class ImpatientConversation : public MetricsConversationTest {
 protected:
  ImpatientConversation()
      : MetricsConversationTest({.request = 50ms, .reply = 50ms, .end = 50ms}) {}
};

TEST_F(ImpatientConversation, WhoSaysNothingIsEnded) {
  go_on();
  EXPECT_TRUE(conversation_.over());
  EXPECT_EQ(asked_, MetricsReply::unavailable);
}

TEST_F(ImpatientConversation, WhoDoesNotComeToAnEndIsTold) {
  EXPECT_THAT(reply_to("GET /metrics HTTP/1.1\r\n"), StartsWith("HTTP/1.1 408 "));
  go_on();
  EXPECT_TRUE(conversation_.over());
}

TEST_F(ImpatientConversation, WhoDoesNotReadIsEnded) {
  body_ = std::string(std::size_t{8} << 20, 'x');
  ASSERT_TRUE(tests::send_all(client_.get(), request));
  go_on();
  EXPECT_TRUE(conversation_.over());
}

TEST_F(ImpatientConversation, WhoDoesNotEndIsEnded) {
  EXPECT_THAT(reply_to(request), EndsWith("body\n"));
  go_on();
  EXPECT_TRUE(conversation_.over());
}

}  // namespace
}  // namespace forkecho::server
