#include "server/open_listeners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/exit_code.h"
#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using testing::HasSubstr;

Options options_for(std::vector<std::string> listen) {
  Options options;
  options.listen = std::move(listen);
  return options;
}

/// In the pool, with a queue for each of three workers.
Options with_queues(std::vector<std::string> listen) {
  Options options = options_for(std::move(listen));
  options.mode = Mode::pool;
  options.accept = Accept::reuseport;
  options.pool.start = 3;
  return options;
}

Inheritance::Socket inherited(const char* address, Listener::Owner owner, const char* text = "") {
  Listener open = Listener::open(tests::address_of(address), 8);
  return {.listener = Listener::adopt(sys::Descriptor(dup(open.fd())), owner), .text = text};
}

FatalError error_of(const Options& options, std::list<Inheritance::Socket> sockets = {}) {
  try {
    open_listeners(options, sockets);
  } catch (const FatalError& error) {
    return error;
  }
  return {ExitCode::ok, ""};
}

TEST(OpenListeners, OneForEachAddressInTheirOrder) {
  std::list<Inheritance::Socket> nothing;
  const auto listeners = open_listeners(options_for({"127.0.0.1:0", "[::1]:0"}), nothing);
  ASSERT_EQ(listeners.size(), 2U);
  EXPECT_THAT(listeners[0].address().to_string(), HasSubstr("127.0.0.1:"));
  EXPECT_THAT(listeners[1].address().to_string(), HasSubstr("[::1]:"));
}

TEST(OpenListeners, QueuesStandWorkerByWorker) {
  std::list<Inheritance::Socket> nothing;
  const auto listeners = open_listeners(with_queues({"127.0.0.1:0", "[::1]:0"}), nothing);
  ASSERT_EQ(listeners.size(), 6U);
  for (std::size_t i = 2; i < listeners.size(); ++i)
    EXPECT_EQ(listeners[i].address().to_string(), listeners[i - 2].address().to_string());
}

TEST(OpenListeners, OneOfEachAddressIsTheFirstQueueOfEach) {
  std::list<Inheritance::Socket> nothing;
  const Options queues = with_queues({"127.0.0.1:0", "[::1]:0"});
  const auto three_each = open_listeners(queues, nothing);
  const auto first = one_of_each_address(queues, three_each);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(&first[0], &three_each[0]);
  const Options plain = options_for({"127.0.0.1:0", "[::1]:0"});
  const auto one_each = open_listeners(plain, nothing);
  EXPECT_EQ(one_of_each_address(plain, one_each).size(), 2U);
}

TEST(OpenListeners, OnlyWhoHasOneAndNothingElseToWaitForWaitsInAccept) {
  std::list<Inheritance::Socket> nothing;
  Options options = options_for({"127.0.0.1:0"});
  const auto blocks = [&] { return !open_listeners(options, nothing).front().is_nonblocking(); };
  options.mode = Mode::fork;
  EXPECT_FALSE(blocks());
  options.mode = Mode::event;
  EXPECT_FALSE(blocks());
  options.mode = Mode::iterative;
  EXPECT_TRUE(blocks());
  options.mode = Mode::pool;
  EXPECT_TRUE(blocks());
  options.accept = Accept::passing;
  EXPECT_FALSE(blocks());
  options.accept = Accept::shared;
  options.listen.emplace_back("[::1]:0");
  EXPECT_FALSE(blocks());
}

TEST(OpenListeners, WhatWasInheritedForAnAddressIsTakenAndTheRestStays) {
  std::list<Inheritance::Socket> sockets;
  sockets.push_back(inherited("127.0.0.1:0", Listener::Owner::daemon, "127.0.0.1:0"));
  sockets.push_back(inherited("[::1]:0", Listener::Owner::daemon, "[::1]:0"));
  const int taken = sockets.front().listener.fd();
  const auto listeners = open_listeners(options_for({"127.0.0.1:0"}), sockets);
  ASSERT_EQ(listeners.size(), 1U);
  EXPECT_EQ(listeners[0].fd(), taken);
  ASSERT_EQ(sockets.size(), 1U);
  EXPECT_EQ(sockets.front().text, "[::1]:0");
}

TEST(OpenListeners, AServiceManagersReplaceWhatWasAskedFor) {
  std::list<Inheritance::Socket> sockets;
  sockets.push_back(inherited("127.0.0.1:0", Listener::Owner::service_manager));
  sockets.push_back(inherited("[::1]:0", Listener::Owner::service_manager));
  const auto listeners = open_listeners(options_for({"127.0.0.9:1"}), sockets);
  EXPECT_EQ(listeners.size(), 2U);
  EXPECT_TRUE(sockets.empty());
}

TEST(OpenListeners, QueuesThatCannotBeHadAreAnError) {
  std::list<Inheritance::Socket> managers;
  managers.push_back(inherited("127.0.0.1:0", Listener::Owner::service_manager));
  EXPECT_EQ(error_of(with_queues({"127.0.0.1:0"}), std::move(managers)).code(), ExitCode::config);
  std::list<Inheritance::Socket> one;
  one.push_back(inherited("127.0.0.1:0", Listener::Owner::daemon, "127.0.0.1:0"));
  const FatalError too_few = error_of(with_queues({"127.0.0.1:0"}), std::move(one));
  EXPECT_EQ(too_few.code(), ExitCode::config);
  EXPECT_THAT(too_few.what(), HasSubstr("cannot add queues"));
}

TEST(OpenListeners, WhatCannotBeListenedOnIsSaid) {
  const Listener other = Listener::open(tests::address_of("127.0.0.1:0"), 8);
  const FatalError in_use = error_of(options_for({other.address().to_string()}));
  EXPECT_EQ(in_use.code(), ExitCode::unavailable);
  EXPECT_THAT(in_use.what(), HasSubstr("cannot listen on"));
  EXPECT_EQ(error_of(options_for({"nonsense"})).code(), ExitCode::usage);
}

}  // namespace
}  // namespace forkecho::server
