#include "server/metrics_service.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "server/exit_code.h"
#include "server/process_context.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

class MetricsServiceTest : public testing::Test {
 protected:
  void open(const std::string& address) {
    service_.open(address, inherited_,
                  [self = getpid()](std::span<const Listener> listeners, const std::string& title) {
                    settle_in(CommonContext{.listeners = listeners, .supervisor = self}, title);
                  });
  }
  /// Somebody's from a handover, with its text.
  void inherit(const std::string& text) {
    inherited_.push_back(
        {.listener = Listener::open(tests::address_of("127.0.0.1:0"), 8), .text = text});
  }
  MetricsService::Figures figures() {
    return [this] {
      ++asked_;
      return Status{};
    };
  }

  std::list<Inheritance::Socket> inherited_;
  MetricsService service_;
  int asked_ = 0;
};

TEST_F(MetricsServiceTest, WhereNobodyAsksForMetricsNothingHappens) {
  service_.maintain(figures());
  service_.publish_now(figures());
  service_.leave({});
  EXPECT_EQ(asked_, 0);
  EXPECT_EQ(service_.address(), "");
  EXPECT_EQ(service_.exporter(), 0);
  EXPECT_FALSE(service_.socket());
  EXPECT_FALSE(service_.take_ended(getpid()));
}

TEST_F(MetricsServiceTest, ItsListenerIsHandedOnWithWhatWasAskedForAndTakenOver) {
  open("127.0.0.1:0");
  const auto socket = service_.socket();
  ASSERT_TRUE(socket);
  EXPECT_EQ(socket->text, "metrics 127.0.0.1:0");
  EXPECT_EQ(socket->owner, Listener::Owner::daemon);
  inherited_.push_back({.listener = Listener::adopt(
                            sys::Descriptor(fcntl(socket->fd, F_DUPFD_CLOEXEC, 0)), socket->owner),
                        .text = socket->text});
  inherit("127.0.0.1:0");  // that is where clients are served
  MetricsService next;
  next.open("127.0.0.1:0", inherited_, [](auto&&...) {});
  EXPECT_EQ(next.address(), service_.address());
  EXPECT_EQ(inherited_.size(), 1U);
  EXPECT_EQ(inherited_.front().text, "127.0.0.1:0");
}

TEST_F(MetricsServiceTest, FiguresAreAskedForOnlyWhenTheyAreToBePublished) {
  open("127.0.0.1:0");
  service_.maintain(figures());
  EXPECT_EQ(asked_, 1);
  EXPECT_GT(service_.exporter(), 0);
  const auto start = sys::Clock::now();
  service_.maintain(figures());
  // A machine that does much else may take longer than the pause.
  if (sys::Clock::now() - start < MetricsService::publishing_pause / 2) {
    EXPECT_EQ(asked_, 1);
  }
  const int before = asked_;
  service_.publish_now(figures());
  EXPECT_EQ(asked_, before + 1);
}

TEST_F(MetricsServiceTest, WhatTheNextDaemonHasTakenKeepsItsPath) {
  const tests::TempDir directory;
  for (const bool is_taken : {true, false}) {
    const std::string path = directory.path("metrics");
    open("unix:" + path);
    const int fd = service_.socket()->fd;
    service_.leave(is_taken ? std::vector{fd} : std::vector<int>{});
    EXPECT_EQ(access(path.c_str(), F_OK) == 0, is_taken);
    EXPECT_EQ(service_.address(), "");
  }
}

}  // namespace
}  // namespace forkecho::server
