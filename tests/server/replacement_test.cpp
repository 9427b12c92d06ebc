#include "server/replacement.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "server/options.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ObjectionToUpgrade, ThereIsNoneForADaemonThatRuns) {
  EXPECT_EQ(objection_to_upgrade({.pid = 4711}), "");
}

TEST(ObjectionToUpgrade, NamesTheFirstReason) {
  UpgradeFacts facts{.pid = 4711};
  const auto objection = [&] { return objection_to_upgrade(facts); };
  facts.reloads = true;
  EXPECT_THAT(objection(), StartsWith("a reload is under way"));
  facts.duties_are_ours = false;
  EXPECT_THAT(objection(), StartsWith("this daemon has not taken over"));
  facts.state = State::draining;
  EXPECT_EQ(objection(), "the daemon is draining");
  facts.is_under_way = true;
  EXPECT_EQ(objection(), "an upgrade is under way");
  facts.program_is_known = false;
  EXPECT_THAT(objection(), StartsWith("the path of this program"));
  facts.pid = 1;
  EXPECT_THAT(objection(), StartsWith("process 1 of a container"));
}

Listener open_listener(Listener::Owner owner = Listener::Owner::daemon) {
  const Listener open = Listener::open(tests::address_of("127.0.0.1:0"), 8);
  return Listener::adopt(sys::Descriptor(fcntl(open.fd(), F_DUPFD_CLOEXEC, 0)), owner);
}

TEST(SocketsToHandOver, AreCalledWhatWasAskedForAgainForEachRoundOfQueues) {
  std::vector<Listener> listeners;
  for (int i = 0; i < 4; ++i) listeners.push_back(open_listener());
  const std::vector<std::string> asked_for{"one", "two"};
  const auto sockets = sockets_to_hand_over(listeners, asked_for);
  ASSERT_EQ(sockets.size(), 4U);
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    EXPECT_EQ(sockets[i].fd, listeners[i].fd());
    EXPECT_EQ(sockets[i].text, asked_for[i % 2]);
  }
}

TEST(SocketsToHandOver, AServiceManagersWereNotAskedFor) {
  std::vector<Listener> listeners;
  listeners.push_back(open_listener(Listener::Owner::service_manager));
  const std::vector<std::string> asked_for{"one"};
  const auto sockets = sockets_to_hand_over(listeners, asked_for);
  ASSERT_EQ(sockets.size(), 1U);
  EXPECT_EQ(sockets[0].text, "");
  EXPECT_EQ(sockets[0].owner, Listener::Owner::service_manager);
}

/// What the scripts (in bash: other shells know descriptors up to 9 only) speak to the channel
/// with: a message for each write.
const std::string speak =
    "fd=$(echo $FORKECHOD_HANDOVER | sed 's/.*channel=\\([0-9]*\\).*/\\1/'); ";
const std::string hear_yours = "eval \"head -c 5 <&$fd\" >/dev/null; ";
const std::string say_done = "eval \"printf done >&$fd\"; ";

/// The new program is a script.
class ReplacementTest : public testing::Test {
 protected:
  ReplacementTest() {
    options_.pidfile = directory_.path("d.pid");
    options_.control = directory_.path("d.sock");
    listeners_.push_back(open_listener());
    duties_.emplace(context_, options_, nothing_, [](const auto&, const auto&) {});
  }
  ~ReplacementTest() override {
    // One that has taken over is left alone by all but its test.
    EXPECT_TRUE(tests::eventually(tests::patience(), [] {
      while (mp::reap_any().exit) {
      }
      return tests::children_of(getpid()).empty();
    }));
  }
  void begin(const std::string& script) {
    const std::string program = directory_.path("program");
    std::ofstream(program) << "#!/bin/bash\n" << script << "\n";
    chmod(program.c_str(), 0755);
    replacement_.emplace(
        context_, Invocation{.program = program, .arguments = {"program"}}, *duties_, listeners_,
        Replacement::Events{.replaced =
                                [this](const std::vector<int>& taken) {
                                  EXPECT_EQ(answer_, "ok\n") << "who asked knows already";
                                  EXPECT_FALSE(duties_->are_ours());
                                  taken_ = taken;
                                },
                            .nobody_waits = [this] { nobody_waits_ = true; }});
    Handover handover;
    handover.listeners = sockets_to_hand_over(listeners_, asked_for_);
    replacement_->begin(20s, handover, [this](const std::string& text) { answer_ = text; });
  }
  template <typename Predicate>
  bool until(Predicate predicate) {
    return tests::eventually(tests::patience(), [&] {
      context_.poll();
      return predicate();
    });
  }
  bool until_answered() {
    return until([this] { return !answer_.empty(); });
  }
  std::string named() const { return tests::content_of(options_.pidfile); }

  const tests::TempDir directory_;
  Options options_;
  asio::io_context context_{1};
  Inheritance nothing_;
  std::optional<Duties> duties_;
  std::vector<Listener> listeners_;
  const std::vector<std::string> asked_for_{"127.0.0.1:0"};
  std::optional<Replacement> replacement_;
  std::string answer_;
  std::optional<std::vector<int>> taken_;
  bool nobody_waits_ = false;
};

TEST_F(ReplacementTest, LeavesAtOnceWhereEverythingWasTaken) {
  begin(speak + "eval \"printf 'ready " + std::to_string(listeners_[0].fd()) + "' >&$fd\"; " +
        hear_yours + say_done);
  EXPECT_TRUE(replacement_->is_under_way());
  EXPECT_TRUE(until_answered());
  EXPECT_EQ(answer_, "ok\n");
  EXPECT_THAT(taken_, testing::Optional(ElementsAre(listeners_[0].fd())));
  EXPECT_TRUE(nobody_waits_);
  EXPECT_FALSE(replacement_->is_under_way());
}

TEST_F(ReplacementTest, ClosesWhatWasNotTakenBehindThoseWhoWaitThere) {
  begin(speak + "eval \"printf ready >&$fd\"; " + hear_yours + say_done);
  EXPECT_TRUE(until_answered());
  EXPECT_FALSE(nobody_waits_);
  EXPECT_TRUE(replacement_->closes_doors());
  EXPECT_TRUE(replacement_->is_under_way());
  replacement_->watch(sys::Clock::now() - 1h);
  EXPECT_FALSE(nobody_waits_);
  replacement_->watch(sys::Clock::now() + 1h);
  EXPECT_TRUE(nobody_waits_);
  EXPECT_FALSE(replacement_->closes_doors());
  nobody_waits_ = false;
  replacement_->watch(sys::Clock::now() + 2h);
  EXPECT_FALSE(nobody_waits_) << "it is told once";
}

TEST_F(ReplacementTest, HandsTheDutiesOverAndTakesThemBackFromOneThatFails) {
  begin(speak + "eval \"printf ready >&$fd\"; " + hear_yours + "exec sleep 100");
  const pid_t next = tests::children_of(getpid()).at(0);
  EXPECT_TRUE(until([&] { return named() == std::to_string(next) + "\n"; }));
  kill(next, SIGKILL);
  EXPECT_TRUE(until_answered());
  EXPECT_THAT(answer_, StartsWith("error: upgrade failed, and nothing has changed: "));
  EXPECT_EQ(named(), std::to_string(getpid()) + "\n");
  EXPECT_TRUE(duties_->are_ours());
  EXPECT_FALSE(replacement_->is_under_way());
  EXPECT_FALSE(taken_);
}

TEST_F(ReplacementTest, CanBeGivenUp) {
  begin("exec sleep 100");
  replacement_->give_up("is not wanted");
  EXPECT_THAT(answer_, HasSubstr("the new program is not wanted"));
  EXPECT_FALSE(replacement_->is_under_way());
  answer_.clear();
  replacement_->give_up("is not wanted");
  EXPECT_EQ(answer_, "") << "there is none";
}

}  // namespace
}  // namespace forkecho::server
