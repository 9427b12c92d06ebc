#include "server/spare_keeper.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/server/acceptor_parts.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;

Options single_use(unsigned spares) {
  Options options;
  options.mode = Mode::pool;
  options.connections_per_worker_life = 1;
  options.pool = {.start = spares, .min_spare = spares, .max_spare = 8, .max = 20};
  return options;
}

struct KeepingParts : AcceptorParts {
  explicit KeepingParts(unsigned spares, std::size_t limit = 20)
      : AcceptorParts(single_use(spares), Blocking::yes, limit) {}
  SpareKeeper keeper{context, child, children, gate, shortage};

  std::vector<pid_t> spares() const {
    std::vector<pid_t> pids;
    for (const pid_t pid : tests::children_of(getpid())) {
      if (keeper.has(pid)) pids.push_back(pid);
    }
    return pids;
  }
  /// Its connection, or nothing, is over: whether it had one.
  bool book_end_of(const mp::Exit& exit) {
    const auto index = children.remove(exit.pid);
    const bool said_so = slot(*index).state.load() == SlotState::serving;
    const bool had_one = keeper.had_client_of_ours(exit, said_so);
    gate.ended(children.leave(*index));
    return had_one;
  }
  /// Of a spare that ends without a client.
  void end_early(pid_t pid, int exitcode) {
    kill(pid, SIGKILL);
    tests::exitcode_of(pid);
    EXPECT_FALSE(book_end_of({.pid = pid, .exitcode = exitcode}));
  }
};

TEST(SpareKeeper, SparesAreForkedAheadAndShown) {
  in_a_process_of_its_own([] {
    KeepingParts parts(3);
    EXPECT_TRUE(parts.keeper.none_left());
    EXPECT_FALSE(parts.keeper.take_clients());
    parts.keeper.keep(false);
    EXPECT_TRUE(parts.keeper.take_clients());
    EXPECT_EQ(parts.spares().size(), 3U);
    EXPECT_EQ(parts.children.size(), 3U);
    EXPECT_EQ(parts.slot(0).state.load(), SlotState::idle);
    EXPECT_EQ(parts.book().forked.get(), 3U);
    EXPECT_EQ(parts.book().accepted.get(), 0U);
  });
}

TEST(SpareKeeper, AClientIsOneOfTheSparesAndIsCounted) {
  in_a_process_of_its_own([] {
    KeepingParts parts(1);
    parts.keeper.keep(false);
    const pid_t spare = parts.spares().at(0);
    parts.keeper.count_taken();
    EXPECT_EQ(parts.book().accepted.get(), 0U);
    sys::Descriptor client = parts.connect();
    EXPECT_EQ(tests::echo(client.get(), "x"), "X");
    EXPECT_TRUE(tests::readable(parts.keeper.fd()));
    parts.keeper.count_taken();
    EXPECT_EQ(parts.book().accepted.get(), 1U);
    EXPECT_FALSE(parts.keeper.has(spare));
    EXPECT_TRUE(parts.keeper.none_left());
    client.reset();
    const auto code = tests::exitcode_of(spare);
    ASSERT_TRUE(code);
    EXPECT_TRUE(parts.book_end_of({.pid = spare, .exitcode = *code}));
    EXPECT_EQ(parts.book().accepted.get(), 1U) << "not twice";
  });
}

TEST(SpareKeeper, ASpareThatWasNotSeenToTakeAClientMayHaveHadOne) {
  in_a_process_of_its_own([] {
    KeepingParts parts(1);
    parts.keeper.keep(false);
    const pid_t spare = parts.spares().at(0);
    sys::Descriptor client = parts.connect();
    EXPECT_EQ(tests::echo(client.get(), "x"), "X");
    client.reset();
    const auto code = tests::exitcode_of(spare);
    ASSERT_TRUE(code);
    EXPECT_TRUE(parts.book_end_of({.pid = spare, .exitcode = *code}));
    EXPECT_EQ(parts.book().accepted.get(), 1U);
  });
}

TEST(SpareKeeper, WhileClientsWaitNoneIsForkedAndMoreAreKeptAfterwards) {
  in_a_process_of_its_own([] {
    KeepingParts parts(2);
    parts.keeper.keep(true);
    EXPECT_TRUE(parts.keeper.none_left());
    parts.keeper.keep(false);
    EXPECT_EQ(parts.spares().size(), 4U);
  });
}

TEST(SpareKeeper, AreNoMoreThanThereIsRoomFor) {
  in_a_process_of_its_own([] {
    KeepingParts parts(3, 2);
    parts.keeper.keep(false);
    EXPECT_EQ(parts.spares().size(), 2U);
    EXPECT_FALSE(parts.gate.is_open());
  });
}

TEST(SpareKeeper, NoneIsForkedInAShortage) {
  in_a_process_of_its_own([] {
    KeepingParts parts(3);
    parts.shortage.begin("something", ENOMEM, "clients wait");
    parts.keeper.keep(false);
    EXPECT_TRUE(parts.keeper.none_left());
    EXPECT_TRUE(parts.keeper.next().is_never());
  });
}

TEST(SpareKeeper, AnEarlyDeathPutsOffTheNext) {
  in_a_process_of_its_own([] {
    KeepingParts parts(1);
    parts.keeper.keep(false);
    parts.end_early(parts.spares().at(0), 3);
    EXPECT_EQ(parts.book().accepted.get(), 0U);
    parts.keeper.keep(false);
    EXPECT_TRUE(parts.keeper.none_left());
  });
}

TEST(SpareKeeper, OneThatLeavesUnusedIsNoEarlyDeath) {
  in_a_process_of_its_own([] {
    KeepingParts parts(1);
    parts.keeper.keep(false);
    parts.end_early(parts.spares().at(0), unused_spare);
    parts.keeper.keep(false);
    EXPECT_FALSE(parts.keeper.none_left());
  });
}

TEST(SpareKeeper, TheyGrowAndShrinkByOne) {
  in_a_process_of_its_own([] {
    KeepingParts parts(2);
    parts.keeper.keep(false);
    parts.keeper.grow(1);
    parts.keeper.keep(false);
    ASSERT_EQ(parts.spares().size(), 3U);
    for (const pid_t spare : parts.spares())
      ASSERT_TRUE(tests::sleeps(spare)) << "who does hears it once";
    parts.keeper.grow(-1);
    EXPECT_TRUE(eventually([] { return mp::peek_ended().has_value(); }));
    const auto exit = mp::peek_ended();
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->exitcode, unused_spare);
  });
}

TEST(SpareKeeper, StoppedItForksNoneAndThoseThatThereAreLeave) {
  in_a_process_of_its_own([] {
    KeepingParts parts(2);
    parts.keeper.keep(false);
    const std::vector<pid_t> spares = parts.spares();
    parts.keeper.stop();
    EXPECT_FALSE(parts.keeper.next().is_never()) << "to dismiss them again";
    parts.keeper.dismiss_all();
    for (const pid_t pid : spares) {
      EXPECT_TRUE(eventually([&] {
        parts.keeper.dismiss_all();
        return mp::peek_one(pid).exit.has_value();
      }));
      const auto code = tests::exitcode_of(pid);
      EXPECT_EQ(code, unused_spare);
      EXPECT_FALSE(parts.book_end_of({.pid = pid, .exitcode = unused_spare}));
    }
    parts.keeper.keep(false);
    EXPECT_TRUE(parts.keeper.none_left());
    EXPECT_TRUE(parts.keeper.next().is_never());
  });
}

/// Those that were stopped wait for nobody.
TEST(SpareKeeper, SparesThatFailLeaveClientsToTheAcceptor) {
  in_a_process_of_its_own([] {
    KeepingParts parts(1);
    parts.keeper.keep(false);
    const std::vector<pid_t> spares = parts.spares();
    ASSERT_TRUE(tests::stop_all(spares));
    const sys::Descriptor client = parts.connect();
    EXPECT_TRUE(parts.keeper.take_clients());
    EXPECT_TRUE(eventually([&] {
      parts.keeper.keep(false);
      return !parts.keeper.take_clients();
    }));
    EXPECT_FALSE(parts.keeper.none_left());
  });
}

}  // namespace
}  // namespace forkecho::server
