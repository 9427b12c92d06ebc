#include "common/mp/wait.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <stdexcept>
#include <vector>

#include "common/mp/connection.h"
#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "common/mp/reap.h"
#include "tests/support/child.h"
#include "tests/support/proves.h"

namespace forkecho::mp {
namespace {

using tests::Gate;
using Ready = std::vector<Waitable>;

sys::Deadline soon() {
  return sys::Deadline::after(std::chrono::milliseconds(30));
}

TEST(Wait, GivesTheReadyOnesInTheOrderGiven) {
  PROVES("0.3", "cpython:TestWait");
  tests::Pipe silent;
  tests::Pipe spoken;
  Pipe connection;
  ASSERT_EQ(write(spoken.write.get(), "x", 1), 1);
  connection.second.send(1);
  const Ready ready =
      wait({connection.first, silent.read.get(), spoken.read.get()}, tests::patience());
  EXPECT_EQ(ready, (Ready{connection.first, spoken.read.get()}));
}

TEST(Wait, MessagesOfManyWritersUntilTheirEnd) {
  PROVES("cpython:TestWait");
  constexpr int writers = 4;
  constexpr int messages = 10;
  std::vector<Connection> readers;
  std::vector<Process> processes;
  for (int writer = 0; writer < writers; ++writer) {
    Pipe pipe(Duplex::no);
    processes.emplace_back([&pipe, writer] {
      for (int i = 0; i < messages; ++i) pipe.second.send(writer * messages + i);
    });
    processes.back().start();
    readers.push_back(std::move(pipe.first));
  }
  std::vector<int> received;
  std::vector<Connection*> open;
  for (Connection& reader : readers) open.push_back(&reader);
  while (!open.empty()) {
    Ready all;
    for (const Connection* reader : open) all.emplace_back(*reader);
    const Ready ready = wait(all, tests::patience());
    ASSERT_FALSE(ready.empty());
    std::erase_if(open, [&](Connection* reader) {
      if (std::find(ready.begin(), ready.end(), Waitable(*reader)) == ready.end()) return false;
      const auto message = reader->recv<int>();
      if (message) received.push_back(*message);
      return !message;
    });
  }
  std::sort(received.begin(), received.end());
  ASSERT_EQ(received.size(), static_cast<std::size_t>(writers * messages));
  for (int i = 0; i < writers * messages; ++i) EXPECT_EQ(received[i], i);
  for (Process& process : processes) EXPECT_TRUE(process.join(tests::patience()));
}

TEST(Wait, ASocketIsReadyAtDataAndAtItsEnd) {
  PROVES("cpython:TestWait");
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const sys::Descriptor ours(ends[0]);
  sys::Descriptor theirs(ends[1]);
  EXPECT_TRUE(wait({ours.get()}, sys::Deadline::immediately()).empty());
  ASSERT_EQ(send(theirs.get(), "a", 1, 0), 1);
  EXPECT_EQ(wait({ours.get()}, tests::patience()), Ready{ours.get()});
  char byte = 0;
  ASSERT_EQ(recv(ours.get(), &byte, 1, 0), 1);
  EXPECT_TRUE(wait({ours.get()}, sys::Deadline::immediately()).empty());
  theirs.reset();
  EXPECT_EQ(wait({ours.get()}, tests::patience()), Ready{ours.get()});
}

TEST(Wait, GivesUpAtItsDeadlineAndNotBefore) {
  PROVES("cpython:TestWait");
  Pipe pipe;
  const auto deadline = soon();
  EXPECT_TRUE(wait({pipe.first, pipe.second}, deadline).empty());
  EXPECT_TRUE(deadline.passed());
  EXPECT_TRUE(wait({pipe.first}, sys::Deadline::immediately()).empty());
  pipe.second.send(0);
  EXPECT_EQ(wait({pipe.first}, sys::Deadline::immediately()), Ready{pipe.first});
}

TEST(Wait, ForProcessesConnectionsAndDescriptorsTogether) {
  PROVES("0.3", "cpython:TestWait");
  Gate end;
  Gate other;
  Pipe pipe;
  Process quick([] {});
  Process slow([&] { end.pass(); });
  slow.start();
  EXPECT_TRUE(wait({slow, pipe.first}, soon()).empty());
  quick.start();
  EXPECT_EQ(wait({slow, pipe.first, quick}, tests::patience()), Ready{quick});
  EXPECT_TRUE(quick.join(tests::patience()));
  pipe.second.send(1);
  end.open();
  EXPECT_EQ(wait({slow}, tests::patience()), Ready{slow});
  EXPECT_EQ(wait({slow, pipe.first, quick}, tests::patience()), (Ready{slow, pipe.first, quick}));
  EXPECT_TRUE(slow.join(tests::patience()));
  EXPECT_EQ(wait({slow}, tests::patience()), Ready{slow}) << "reaped: still ready";
}

TEST(Wait, ReapsNobodyAndReceivesNothing) {
  Process child([] { leave(3); });
  child.start();
  ASSERT_EQ(wait({child}, tests::patience()), Ready{child});
  EXPECT_EQ(peek_ended()->pid, child.pid());
  EXPECT_TRUE(child.join(tests::patience()));
  EXPECT_EQ(child.exitcode(), 3);
}

TEST(Wait, AKilledProcessIsReady) {
  Process child([] { pause(); });
  child.start();
  child.kill();
  EXPECT_EQ(wait({child}, tests::patience()), Ready{child});
  EXPECT_TRUE(child.join(tests::patience()));
}

TEST(Wait, SignalsDoNotEndIt) {
  PROVES("cpython:TestWait");
  EXPECT_EQ(tests::exitcode_in_child([] {
              static RawValue<std::atomic<int>> handled;
              std::signal(SIGUSR1, [](int) { ++*handled; });
              Pipe pipe;
              const pid_t target = getpid();
              Process interrupter([&] {
                while (*handled == 0) {
                  ::kill(target, SIGUSR1);
                  usleep(1000);
                }
                pipe.second.send(5);
              });
              interrupter.start();
              if (wait({pipe.first}, tests::patience()) != Ready{pipe.first}) return 1;
              if (*handled == 0) return 2;
              return interrupter.join(tests::patience()) ? 0 : 3;
            }),
            0);
}

TEST(Wait, RefusesWhatWouldNeverEndOrIsClosed) {
  EXPECT_THROW(wait({}), std::invalid_argument);
  const auto deadline = soon();
  EXPECT_TRUE(wait({}, deadline).empty());
  EXPECT_TRUE(deadline.passed());
  Pipe pipe;
  pipe.first.close();
  EXPECT_THROW(wait({pipe.first, pipe.second}), std::invalid_argument);
  const int closed = [] {
    tests::Pipe gone;
    return gone.read.get();
  }();
  EXPECT_THROW(wait({closed}, soon()), std::invalid_argument);
  Process not_started([] {});
  EXPECT_THROW(wait({not_started}), std::logic_error);
}

TEST(Wait, ForTheParent) {
  const tests::AdoptOrphans adopt;
  RawValue<std::atomic<pid_t>> grandchild;
  Gate heard;
  Process parent([&] {
    Process child({.detached = true}, [&] {
      if (wait({*parent_process()}, tests::patience()) == Ready{*parent_process()}) heard.open();
    });
    child.start();
    *grandchild = *child.pid();
  });
  parent.start();
  EXPECT_TRUE(parent.join(tests::patience()));
  EXPECT_TRUE(heard.pass());
  EXPECT_EQ(tests::exitcode_of(*grandchild), 0);
}

}  // namespace
}  // namespace forkecho::mp
