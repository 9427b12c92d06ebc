#include "common/mp/manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using std::string;
using tests::patience;

TEST(Manager, ItsProcessEndsWithIt) {
  PROVES("2.1");
  pid_t server = 0;
  {
    const Manager manager;
    server = *manager.pid();
    EXPECT_NE(server, getpid());
    EXPECT_EQ(tests::status_of(server).parent, getpid());
  }
  EXPECT_EQ(tests::state_of(server), '-');
}

TEST(Manager, ItsProcessEndsWithItsMakerHoweverThatEnds) {
  const tests::AdoptOrphans adopt;
  tests::Pipe pids;
  const pid_t maker = tests::start_child([&] {
    const Manager manager;
    const pid_t server = *manager.pid();
    if (write(pids.write.get(), &server, sizeof server) != sizeof server) return 1;
    return kill(getpid(), SIGKILL);
  });
  ASSERT_EQ(tests::exitcode_of(maker), -SIGKILL);
  pid_t server = 0;
  ASSERT_EQ(read(pids.read.get(), &server, sizeof server), ssize_t{sizeof server});
  EXPECT_EQ(tests::exitcode_of(server), -SIGKILL);
}

TEST(Manager, AfterShutdownEveryCallIsManagerDied) {
  Manager manager;
  const auto dict = manager.dict<int, int>();
  manager.shutdown();
  manager.shutdown();
  EXPECT_THROW(dict.size(), ManagerDied);
  EXPECT_THROW(dict.size(), ManagerDied);
  EXPECT_THROW((manager.dict<int, int>()), ManagerDied);
  EXPECT_EQ(manager.pid(), std::nullopt);
}

TEST(Manager, IsShutDownByItsMakerAlone) {
  const Manager manager;
  EXPECT_EQ(tests::exitcode_in_child([&] {
              auto elsewhere = Manager::connect(manager.address(), manager.authkey());
              try {
                elsewhere.shutdown();
              } catch (const std::logic_error&) {
                return 0;
              }
              return 1;
            }),
            0);
  EXPECT_EQ(manager.object_count(), 0u);
}

TEST(Manager, ACopyInAChildDoesNotEndIt) {
  auto manager = std::make_unique<Manager>();
  EXPECT_EQ(tests::exitcode_in_child([&] {
              manager.reset();
              return 0;
            }),
            0);
  EXPECT_EQ(manager->object_count(), 0u);
}

TEST(Manager, AClientThatWaitsIsToldAtOnceWhenTheManagerIsKilled) {
  const Manager manager;
  const auto queue = manager.queue<int>();
  const auto ready = manager.queue<int>();
  const pid_t waiting = tests::start_child([&] {
    ready.put(1);
    try {
      queue.get();
    } catch (const ManagerDied& error) {
      return string(error.what()).find("has ended") != string::npos ? 0 : 1;
    }
    return 2;
  });
  ready.get();
  kill(*manager.pid(), SIGKILL);
  EXPECT_EQ(tests::exitcode_of(waiting), 0);
}

TEST(Manager, ServesProgramsThatAreNoChildren) {
  PROVES("cpython:manager:test_remote");
  const Bytes key = random_authkey();
  ManagerOptions options;
  options.authkey = key;
  const Manager manager(options);
  manager.dict<string, int>(Named("ages")).set("Ada", 36);
  const string address = manager.address();
  // A child that has forgotten what it inherited knows the address and the key alone.
  EXPECT_EQ(tests::exitcode_in_child([&] {
              const Manager remote = Manager::connect(address, key);
              const auto queue = remote.queue<string>(0, Named("work"));
              queue.put("hello world");
              queue.put("");
              queue.put("πθερ");
              return remote.dict<string, int>(Named("ages")).get("Ada").value_or(0);
            }),
            36);
  const auto queue = manager.queue<string>(0, Named("work"));
  EXPECT_EQ(queue.get(patience()), "hello world");
  EXPECT_EQ(queue.get(patience()), "");
  EXPECT_EQ(queue.get(patience()), "πθερ");
  EXPECT_TRUE(queue.empty());
}

TEST(Manager, AnObjectIsFoundByItsNameAsTheSameTypeOnly) {
  const Manager manager;
  manager.list<int>(Named("numbers")).append(1);
  EXPECT_EQ(manager.list<int>(Named("numbers")).size(), 1u);
  EXPECT_THROW(manager.list<long>(Named("numbers")), std::logic_error);
  EXPECT_THROW(manager.queue<int>(0, Named("numbers")), std::logic_error);
}

TEST(Manager, AWrongKeyIsAnErrorOfTheClientAloneAndTheServerGoesOn) {
  const Manager manager;
  const auto dict = manager.dict<int, int>();
  for (int i = 0; i < 3; ++i) {
    try {
      Manager::connect(manager.address(), random_authkey());
      FAIL();
    } catch (const AuthenticationError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("does not accept this key"));
    }
  }
  dict.set(1, 1);
  EXPECT_EQ(dict.get(1), 1);
}

TEST(Manager, ConnectingToNobodyIsManagerDied) {
  EXPECT_THROW(Manager::connect("@forkecho-manager-none", random_authkey()), ManagerDied);
  EXPECT_THROW(Manager::connect("127.0.0.1:9001", random_authkey()), std::invalid_argument);
}

TEST(Manager, ARemovedObjectIsALogicErrorForWhoUsesItAndWhoWaits) {
  const Manager manager;
  const auto queue = manager.queue<int>();
  const auto ready = manager.queue<int>();
  const pid_t waiting = tests::start_child([&] {
    ready.put(1);
    try {
      queue.get();
    } catch (const std::logic_error&) {
      return 0;
    }
    return 1;
  });
  ready.get();
  manager.remove(queue);
  EXPECT_EQ(tests::exitcode_of(waiting), 0);
  EXPECT_THROW(queue.qsize(), std::logic_error);
  EXPECT_THROW(manager.remove(queue), std::logic_error);
  const Manager other;
  EXPECT_THROW(other.remove(ready), std::logic_error);
  EXPECT_EQ(manager.object_count(), 1u);
}

TEST(Manager, IgnoresControlC) {
  const Manager manager;
  kill(*manager.pid(), SIGINT);
  EXPECT_EQ(manager.object_count(), 0u);
}

TEST(Manager, ManyStartAndEndOneAfterTheOther) {
  for (int i = 0; i < 20; ++i) {
    const Manager manager;
    const auto list = manager.list<int>({i});
    EXPECT_EQ(list.get(0), i);
  }
}

TEST(Manager, AKeyTooLongIsALengthErrorAndLeavesNoProcess) {
  ManagerOptions options;
  options.authkey.resize(1025);
  EXPECT_THROW(Manager manager(options), std::length_error);
}

}  // namespace
}  // namespace forkecho::mp
