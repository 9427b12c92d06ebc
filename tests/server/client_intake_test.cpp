#include "server/client_intake.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/server/acceptor_parts.h"

namespace forkecho::server {
namespace {

struct IntakeParts : AcceptorParts {
  using AcceptorParts::AcceptorParts;
  ClientIntake intake{context, child, children, gate, shortage, nullptr};

  /// A client whom the listener has in its queue.
  sys::Descriptor connect() const {
    sys::Descriptor client = AcceptorParts::connect();
    EXPECT_TRUE(tests::readable(listeners[0].fd()));
    return client;
  }
};

TEST(ClientIntake, AChildIsForkedForWhoeverWaits) {
  in_a_process_of_its_own([] {
    IntakeParts parts;
    EXPECT_FALSE(parts.intake.take_waiting());
    const sys::Descriptor client = parts.connect();
    EXPECT_TRUE(parts.intake.take_waiting());
    EXPECT_EQ(tests::echo(client.get(), "x"), "X");
    EXPECT_EQ(parts.children.size(), 1U);
    EXPECT_EQ(parts.book().accepted.get(), 1U);
    EXPECT_EQ(parts.book().forked.get(), 1U);
    EXPECT_EQ(parts.slot(0).peer.to_string(), sys::SocketAddress::local(client.get()).to_string());
    EXPECT_FALSE(parts.intake.take_waiting());
  });
}

TEST(ClientIntake, TakesABatchAtATime) {
  in_a_process_of_its_own([] {
    IntakeParts parts({}, Blocking::no, 100);
    std::vector<sys::Descriptor> clients;
    for (int i = 0; i < ClientIntake::batch + 3; ++i) clients.push_back(parts.connect());
    EXPECT_TRUE(parts.intake.take_waiting());
    EXPECT_EQ(parts.children.size(), static_cast<std::uint32_t>(ClientIntake::batch));
    EXPECT_TRUE(parts.intake.take_waiting());
    EXPECT_EQ(parts.children.size(), static_cast<std::uint32_t>(ClientIntake::batch) + 3);
  });
}

TEST(ClientIntake, WhereTheLimitIsReachedClientsWait) {
  in_a_process_of_its_own([] {
    IntakeParts parts({}, Blocking::no, 1);
    const sys::Descriptor first = parts.connect();
    const sys::Descriptor second = parts.connect();
    EXPECT_TRUE(parts.intake.take_waiting());
    EXPECT_EQ(parts.book().accepted.get(), 1U);
    EXPECT_FALSE(parts.intake.is_open());
    EXPECT_TRUE(parts.listeners[0].has_waiting_client());
  });
}

TEST(ClientIntake, WhoIsNotAdmittedIsRefusedInOrder) {
  in_a_process_of_its_own([] {
    Options options;
    options.when_full = WhenFull::refuse;
    IntakeParts parts(options, Blocking::no, 1);
    const sys::Descriptor first = parts.connect();
    const sys::Descriptor second = parts.connect();
    EXPECT_TRUE(parts.intake.take_waiting());
    EXPECT_EQ(tests::receive_to_end(second.get()), "");
    EXPECT_EQ(tests::echo(first.get(), "x"), "X");
    EXPECT_EQ(parts.children.size(), 1U);
    EXPECT_EQ(parts.book().read().refused[static_cast<std::size_t>(Refusal::full)], 1U);
  });
}

TEST(ClientIntake, WhatASourceIsCountedByComesBackWithItsChild) {
  in_a_process_of_its_own([] {
    Options options;
    options.admission.max_per_source = 1;
    IntakeParts parts(options);
    const sys::Descriptor first = parts.connect();
    EXPECT_TRUE(parts.intake.take_waiting());
    ASSERT_EQ(parts.children.size(), 1U);
    const pid_t pid = parts.slot(0).pid.load();
    const auto index = parts.children.remove(pid);
    ASSERT_TRUE(index);
    const Source source = parts.children.leave(*index);
    EXPECT_NE(source, Source::uncounted);
    EXPECT_EQ(source, parts.gate.source());
    kill(pid, SIGKILL);
    EXPECT_EQ(tests::exitcode_of(pid), -SIGKILL);
  });
}

TEST(ClientIntake, NobodyIsTakenInAShortage) {
  in_a_process_of_its_own([] {
    IntakeParts parts;
    const sys::Descriptor client = parts.connect();
    EXPECT_TRUE(parts.intake.is_open());
    parts.shortage.begin("something", ENOMEM, "clients wait");
    EXPECT_FALSE(parts.intake.is_open());
    EXPECT_FALSE(parts.intake.take_waiting());
    EXPECT_EQ(parts.book().accepted.get(), 0U);
  });
}

TEST(ClientIntake, TheDoorIsClosedOnceTheListenerWasShut) {
  in_a_process_of_its_own([] {
    IntakeParts parts;
    EXPECT_FALSE(parts.intake.door_closed());
    parts.listeners[0].stop_listening();
    EXPECT_FALSE(parts.intake.take_waiting());
    EXPECT_TRUE(parts.intake.door_closed());
    EXPECT_FALSE(parts.intake.is_open());
    IntakeParts others;
    others.intake.close_door();
    EXPECT_FALSE(others.intake.is_open());
  });
}

/// The listener of single-use workers waits in accept.
TEST(ClientIntake, NeverWaitsWhereListenersDo) {
  in_a_process_of_its_own([] {
    Options options;
    options.mode = Mode::pool;
    options.connections_per_worker_life = 1;
    IntakeParts parts(options, Blocking::yes);
    EXPECT_FALSE(parts.intake.take_waiting());
    const sys::Descriptor client = parts.connect();
    EXPECT_TRUE(parts.intake.take_waiting());
    EXPECT_EQ(tests::echo(client.get(), "x"), "X");
    EXPECT_EQ(parts.children.size(), 1U);
  });
}

}  // namespace
}  // namespace forkecho::server
