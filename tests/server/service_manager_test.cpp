#include "server/service_manager.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>

#include "tests/support/notify_receiver.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;
using tests::NotifyReceiver;

TEST(NotifySocket, IsAPathOrAnAbstractName) {
  const auto path = parse_notify_socket("/run/x");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->path(), "/run/x");
  const auto abstract = parse_notify_socket("@x");
  ASSERT_TRUE(abstract);
  EXPECT_EQ(abstract->length(), offsetof(sockaddr_un, sun_path) + 2);
  EXPECT_EQ(reinterpret_cast<const sockaddr_un*>(abstract->get())->sun_path[0], '\0');
}

TEST(NotifySocket, OfAnotherKindIsNobody) {
  EXPECT_FALSE(parse_notify_socket(nullptr));
  EXPECT_FALSE(parse_notify_socket(("/" + std::string(107, 'x')).c_str()));
  EXPECT_TRUE(parse_notify_socket(("/" + std::string(106, 'x')).c_str()));
  for (const char* text : {"", "/", "@", "relative", "vsock:2:1234"})
    EXPECT_FALSE(parse_notify_socket(text)) << text;
}

TEST(Watchdog, WantsASignInHalfItsPeriod) {
  EXPECT_EQ(parse_watchdog("3000000", "77", 77), 1500ms);
  EXPECT_EQ(parse_watchdog("3000000", nullptr, 77), 1500ms);
}

TEST(Watchdog, OfNobodyOrOfAnotherProcessWantsNone) {
  EXPECT_EQ(parse_watchdog(nullptr, nullptr, 77), 0s);
  EXPECT_EQ(parse_watchdog("3000000", "78", 77), 0s);
  EXPECT_EQ(parse_watchdog("3000000", "", 77), 0s);
  for (const char* text : {"", "0", "-1", "x", "1x", "99999999999999999999", "9223372036854775807"})
    EXPECT_EQ(parse_watchdog(text, "77", 77), 0s) << text;
}

TEST(ServiceManager, IsToldEachThingInItsForm) {
  NotifyReceiver receiver;
  ServiceManager manager(parse_notify_socket(receiver.variable().c_str()), 0s);
  manager.ready("two\nlines");
  EXPECT_EQ(receiver.next(), "READY=1\nSTATUS=two lines");
  manager.stopping("draining");
  EXPECT_EQ(receiver.next(), "STOPPING=1\nSTATUS=draining");
  manager.status("busy");
  EXPECT_EQ(receiver.next(), "STATUS=busy");
  manager.main_process(4711);
  EXPECT_EQ(receiver.next(), "MAINPID=4711");
  const auto before = sys::Clock::now();
  manager.reloading();
  const std::string reloading = receiver.next();
  ASSERT_THAT(reloading, StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  const std::chrono::microseconds told(std::stoll(reloading.substr(reloading.rfind('=') + 1)));
  EXPECT_GE(told, std::chrono::duration_cast<std::chrono::microseconds>(before.time_since_epoch()));
  EXPECT_LE(told, sys::Clock::now().time_since_epoch());
}

TEST(ServiceManager, IsReachedByAPathToo) {
  const tests::TempDir directory;
  NotifyReceiver receiver(directory.path("notify"));
  ServiceManager manager(parse_notify_socket(receiver.variable().c_str()), 0s);
  manager.ready("here");
  EXPECT_EQ(receiver.next(), "READY=1\nSTATUS=here");
}

TEST(ServiceManager, GetsSignsOfLifeWhenTheyAreDue) {
  NotifyReceiver receiver;
  ServiceManager manager(parse_notify_socket(receiver.variable().c_str()), 10s);
  const auto start = sys::Clock::now();
  for (const auto after : {0s, 5s, 9s, 10s, 19s, 20s}) manager.tick(start + after);
  EXPECT_THAT(receiver.all(), ElementsAre("WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"));
  EXPECT_LE(manager.longest_pause(), 10s);
}

TEST(ServiceManager, WithoutAWatchdogGetsNone) {
  NotifyReceiver receiver;
  ServiceManager manager(parse_notify_socket(receiver.variable().c_str()), 0s);
  manager.tick(sys::Clock::now());
  EXPECT_THAT(receiver.all(), IsEmpty());
  EXPECT_EQ(manager.longest_pause(), sys::Duration::max());
}

TEST(ServiceManager, ThatTakesNothingForAWhileGetsAllOfItLater) {
  NotifyReceiver receiver;
  const int filled = receiver.fill();
  ASSERT_GT(filled, 0);
  ServiceManager manager(parse_notify_socket(receiver.variable().c_str()), 0s);
  manager.ready("late");
  manager.status("later");
  for (int i = 0; i < filled; ++i) EXPECT_EQ(receiver.next(), "fill");
  EXPECT_THAT(receiver.all(), IsEmpty());
  manager.tick(sys::Clock::now());
  EXPECT_THAT(receiver.all(), ElementsAre("READY=1\nSTATUS=late", "STATUS=later"));
}

TEST(ServiceManager, ThatIsGoneOrAbsentIsNobodyToTell) {
  ServiceManager gone(parse_notify_socket("@forkecho-nobody-listens-here"), 1s);
  ServiceManager absent({}, 1s);
  for (ServiceManager* manager : {&gone, &absent}) {
    manager->ready("x");
    manager->tick(sys::Clock::now());
  }
  EXPECT_EQ(absent.longest_pause(), sys::Duration::max());
}

TEST(ServiceManager, IsTheOneThatTheEnvironmentNames) {
  NotifyReceiver receiver;
  setenv("NOTIFY_SOCKET", receiver.variable().c_str(), 1);
  setenv("WATCHDOG_USEC", "8000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid() + 1).c_str(), 1);
  auto started = ServiceManager::of_environment(ServiceManager::Origin::started);
  auto took_over = ServiceManager::of_environment(ServiceManager::Origin::took_over);
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  started.ready("x");
  EXPECT_EQ(receiver.next(), "READY=1\nSTATUS=x");
  EXPECT_EQ(started.longest_pause(), sys::Duration::max());
  EXPECT_LT(took_over.longest_pause(), 8s);
}

}  // namespace
}  // namespace forkecho::server
