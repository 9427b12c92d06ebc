#include "common/mp/manager_client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "common/mp/managed_object.h"
#include "common/mp/manager.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

using tests::patience;

std::size_t sockets_of(pid_t pid) {
  std::size_t sockets = 0;
  for (const auto& [number, what] : tests::descriptors_of(pid))
    sockets += what.starts_with("socket:");
  return sockets;
}

TEST(ManagerClient, TheErrorsOfTheServerKeepTheirTypesAndTexts) {
  const auto answer = [](managed::ErrorKind kind) {
    managed::Answers answers;
    answers.error(1, kind, "text");
    return answers.all().front().packet.take();
  };
  EXPECT_THROW(managed::Reply(answer(managed::ErrorKind::out_of_range)), std::out_of_range);
  EXPECT_THROW(managed::Reply(answer(managed::ErrorKind::length_error)), std::length_error);
  EXPECT_THROW(managed::Reply(answer(managed::ErrorKind::invalid_argument)), std::invalid_argument);
  EXPECT_THROW(managed::Reply(answer(managed::ErrorKind::other)), std::runtime_error);
  try {
    managed::Reply(answer(managed::ErrorKind::logic_error));
    FAIL();
  } catch (const std::logic_error& error) {
    EXPECT_STREQ(error.what(), "text");
  }
}

TEST(ManagerClient, AProcessHasOneConnectionHoweverManyProxies) {
  const Manager manager;
  const std::size_t before = sockets_of(getpid());
  const auto dict = manager.dict<int, int>();
  const auto again = Manager::connect(manager.address(), manager.authkey());
  again.list<int>().append(1);
  dict.set(1, 1);
  EXPECT_EQ(sockets_of(getpid()), before);
}

TEST(ManagerClient, TheConnectionIsClosedWithTheLastProxy) {
  const std::size_t before = sockets_of(getpid());
  {
    std::optional<DictProxy<int, int>> dict;
    {
      const Manager manager;
      dict = manager.dict<int, int>();
      dict->set(1, 1);
    }
    EXPECT_EQ(sockets_of(getpid()), before + 1);
    EXPECT_THROW(dict->get(1), ManagerDied);
  }
  EXPECT_EQ(sockets_of(getpid()), before);
}

TEST(ManagerClient, EachThreadHasItsOwnAndGivesUpWhatItHoldsAtItsEnd) {
  const Manager manager;
  const auto lock = manager.lock();
  std::thread([&] { lock.acquire(); }).join();
  EXPECT_EQ(lock.acquire(patience()), Acquired::owner_died);
  std::thread([&] {
    EXPECT_EQ(lock.acquire(sys::Deadline::immediately()), Acquired::timed_out);
    EXPECT_THROW(lock.release(), std::logic_error);
  }).join();
  lock.release();
}

TEST(ManagerClient, AForkedChildOpensItsOwnAndLeavesItsParentsAlone) {
  const Manager manager;
  const auto lock = manager.lock();
  lock.acquire();
  EXPECT_EQ(tests::exitcode_in_child([&] {
              if (lock.acquire(sys::Deadline::immediately()) != Acquired::timed_out) return 1;
              return lock.acquire(sys::Deadline::immediately()) == Acquired::timed_out ? 0 : 2;
            }),
            0);
  EXPECT_NO_THROW(lock.release());
}

TEST(ManagerClient, WhatAProcessHeldIsGivenUpThoughItsChildLivesOn) {
  const Manager manager;
  const auto lock = manager.lock();
  const tests::AdoptOrphans adopt;
  tests::Gate end;
  tests::Pipe pids;
  const pid_t holder = tests::start_child([&] {
    lock.acquire();
    const pid_t grandchild = tests::start_child([&] { return end.pass() ? 0 : 1; });
    return write(pids.write.get(), &grandchild, sizeof grandchild) == sizeof grandchild &&
                   kill(getpid(), SIGKILL) == 0
               ? 0
               : 1;
  });
  ASSERT_EQ(tests::exitcode_of(holder), -SIGKILL);
  EXPECT_EQ(lock.acquire(patience()), Acquired::owner_died);
  lock.release();
  pid_t grandchild = 0;
  ASSERT_EQ(read(pids.read.get(), &grandchild, sizeof grandchild), ssize_t{sizeof grandchild});
  EXPECT_TRUE(tests::sleeps(grandchild));
  end.open();
  EXPECT_EQ(tests::exitcode_of(grandchild), 0);
}

TEST(ManagerClient, AProxyOfAnUnknownManagerHasNoKey) {
  EXPECT_THROW(managed::known_manager("@forkecho-manager-none"), AuthenticationError);
}

TEST(ManagerClient, AWrongKeyDoesNotReplaceTheRightOne) {
  const Manager manager;
  const auto dict = manager.dict<std::string, ListProxy<int>>();
  EXPECT_THROW(Manager::connect(manager.address(), Bytes(32)), AuthenticationError);
  dict.set("list", manager.list<int>({1}));
  EXPECT_EQ(dict.get("list")->copy(), std::vector<int>{1});
}

TEST(ManagerClient, AThreadThatConnectsHoldsUpNobody) {
  const Manager manager;
  const std::string silent_address = managed::random_address();
  sys::Descriptor silent = managed::listen_at(silent_address);
  std::thread connecting(
      [&] { EXPECT_THROW(Manager::connect(silent_address, manager.authkey()), ManagerDied); });
  ASSERT_TRUE(tests::readable(silent.get()));
  tests::Gate connected;
  const pid_t child = tests::start_child([&] {
    Manager::connect(manager.address(), manager.authkey()).list<int>().append(1);
    connected.open();
    return 0;
  });
  // Long before the thread gives up, which it does after handshake_patience.
  EXPECT_TRUE(connected.pass(sys::Deadline::after(managed::handshake_patience / 2)));
  const auto begun = sys::Clock::now();
  EXPECT_NO_THROW(Manager::connect(manager.address(), manager.authkey()));
  EXPECT_LT(sys::Clock::now() - begun, managed::handshake_patience / 4);
  silent.reset();
  connecting.join();
  kill(child, SIGKILL);
  tests::exitcode_of(child);
}

TEST(ManagerClient, AManagerThatIsStoppedIsGivenUpSomeTimeAfterTheDeadline) {
  if (tests::soak(0, 1) == 0) GTEST_SKIP() << "takes ten seconds: part of the soak";
  const Manager manager;
  const auto queue = manager.queue<int>();
  ASSERT_TRUE(tests::stop_all({*manager.pid()}));
  EXPECT_THROW(queue.put(1, sys::Deadline::after(std::chrono::milliseconds(10))), ManagerDied);
  kill(*manager.pid(), SIGCONT);
  // The request that was given up may have been applied; the connection is another.
  EXPECT_LE(queue.qsize(), 1u);
}

}  // namespace
}  // namespace forkecho::mp
