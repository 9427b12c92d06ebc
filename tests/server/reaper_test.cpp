#include "server/reaper.h"

#include <gtest/gtest.h>

#include "tests/server/acceptor_parts.h"

namespace forkecho::server {
namespace {

struct ReapingParts : AcceptorParts {
  using AcceptorParts::AcceptorParts;
  Reaper reaper{page(), signals, children, gate, nullptr};

  /// As the acceptor does in its turns, until nobody is left.
  bool reap_until_none_is_left() {
    const auto read = [this] { return signals.read([](int) {}); };
    return eventually([&] {
      read();
      reaper.reap_all(read);
      return children.size() == 0;
    });
  }
};

TEST(Reaper, WhoHasEndedIsBookedReapedAndGivesBackItsPlace) {
  in_a_process_of_its_own([] {
    ReapingParts parts({}, Blocking::no, 1);
    ASSERT_TRUE(parts.gate.claim_place());
    ASSERT_FALSE(parts.gate.is_open());
    const auto [pid, index] = parts.enter_child(static_cast<int>(Ending::idle_timeout));
    parts.slots[index].meter.bytes_in.set(5);
    parts.slots[index].meter.bytes_out.set(6);
    ASSERT_TRUE(parts.reap_until_none_is_left());
    EXPECT_EQ(parts.book().timed_out[1].get(), 1U);
    EXPECT_EQ(parts.book().reaped.get(), 1U);
    EXPECT_EQ(parts.book().bytes_in.get(), 5U);
    EXPECT_EQ(parts.book().bytes_out.get(), 6U);
    EXPECT_EQ(parts.book().read().ended(), 1U);
    EXPECT_FALSE(mp::is_unreaped_child(pid));
    EXPECT_EQ(parts.slot(index).state.load(), SlotState::free);
    EXPECT_EQ(parts.page().reaping.pid.load(), 0);
    EXPECT_TRUE(parts.gate.is_open());
  });
}

TEST(Reaper, ManyThatEndAtOnceAreAllFound) {
  in_a_process_of_its_own([] {
    ReapingParts parts({}, Blocking::no, 100);
    for (int i = 0; i < 60; ++i) {
      ASSERT_TRUE(parts.gate.claim_place());
      parts.enter_child(0);
    }
    ASSERT_TRUE(parts.reap_until_none_is_left());
    EXPECT_EQ(parts.book().served.get(), 60U);
    EXPECT_EQ(parts.book().reaped.get(), 60U);
    EXPECT_EQ(parts.slots.used(), 0U);
  });
}

TEST(Reaper, OneOfWhomNobodyToldIsFound) {
  in_a_process_of_its_own([] {
    ReapingParts parts;
    ASSERT_TRUE(parts.gate.claim_place());
    const pid_t pid = parts.enter_child(0).first;
    EXPECT_TRUE(eventually([&] { return mp::peek_one(pid).exit.has_value(); }));
    parts.children.looks().at_once();
    parts.reaper.reap_all([] { return false; });
    EXPECT_EQ(parts.book().served.get(), 1U);
    EXPECT_FALSE(mp::is_unreaped_child(pid));
  });
}

TEST(Reaper, OfThoseUntoldOnlySoManyAreFoundInOneTurn) {
  in_a_process_of_its_own([] {
    ReapingParts parts({}, Blocking::no, 100);
    std::vector<pid_t> pids;
    for (int i = 0; i < Reaper::looks_at_once + 3; ++i) {
      ASSERT_TRUE(parts.gate.claim_place());
      pids.push_back(parts.enter_child(0).first);
    }
    for (const pid_t pid : pids)
      ASSERT_TRUE(eventually([pid] { return mp::peek_one(pid).exit.has_value(); }));
    parts.children.looks().at_once();
    parts.reaper.reap_all([] { return false; });
    EXPECT_EQ(parts.children.size(), 3U);
    parts.reaper.reap_all([] { return false; });
    EXPECT_EQ(parts.children.size(), 0U);
  });
}

TEST(Reaper, ACrashIsBookedAsOne) {
  in_a_process_of_its_own([] {
    ReapingParts parts;
    ASSERT_TRUE(parts.gate.claim_place());
    parts.enter_child(55);
    ASSERT_TRUE(parts.reap_until_none_is_left());
    EXPECT_EQ(parts.book().crashed.get(), 1U);
  });
}

TEST(Reaper, AChildThatIsNoneOfOursIsReapedAndNotBooked) {
  in_a_process_of_its_own([] {
    ReapingParts parts;
    ASSERT_TRUE(parts.gate.claim_place());
    const pid_t ours = parts.enter_lasting_child().first;  // where there is nobody nobody looks
    const pid_t stranger = tests::start_blocked_child([] { return 0; });
    EXPECT_TRUE(eventually([&] { return mp::peek_one(stranger).exit.has_value(); }));
    parts.children.looks().at_once();
    parts.reaper.reap_all([] { return false; });
    EXPECT_FALSE(mp::is_unreaped_child(stranger));
    EXPECT_EQ(parts.book().reaped.get(), 0U);
    EXPECT_EQ(parts.children.size(), 1U);
    kill(ours, SIGKILL);
    EXPECT_TRUE(parts.reap_until_none_is_left());
  });
}

TEST(Reaper, AChildThatWroteOverSlotsHasThemRepaired) {
  in_a_process_of_its_own([] {
    ReapingParts parts;
    ASSERT_TRUE(parts.gate.claim_place());
    ASSERT_TRUE(parts.gate.claim_place());
    const auto [other, index] = parts.enter_lasting_child();
    const auto [pid, scribbler] = parts.enter_child(0);
    for (const std::uint32_t i : {index, scribbler}) {
      parts.slots[i].pid = 1;
      parts.slots[i].state = SlotState::idle;
    }
    EXPECT_TRUE(eventually([&] { return mp::peek_one(pid).exit.has_value(); }));
    parts.children.looks().at_once();
    parts.reaper.reap_all([] { return false; });
    EXPECT_EQ(parts.children.size(), 1U);
    EXPECT_EQ(parts.slot(index).pid.load(), other);
    EXPECT_EQ(parts.slot(index).state.load(), SlotState::serving);
    kill(other, SIGKILL);
    EXPECT_TRUE(parts.reap_until_none_is_left());
  });
}

}  // namespace
}  // namespace forkecho::server
