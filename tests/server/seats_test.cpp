#include "server/seats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::shared_ptr<const Options> options_of(Mode mode) {
  auto options = std::make_shared<Options>();
  options->mode = mode;
  return options;
}

/// Nobody is started: who sits where, and what their pages say, is written here.
class SeatsTest : public testing::Test {
 protected:
  Seat& seat(std::size_t index) { return seats_.all()[index]; }
  ProcessPage& page(std::size_t index) { return seats_.page_of(seat(index)); }
  void sit(Seats& seats, std::size_t index, pid_t pid) {
    Seat& taken = seats.all()[index];
    taken.pid = pid;
    taken.started = sys::Clock::now();
    taken.book = BelievedBook(100);
  }
  void sit(std::size_t index, pid_t pid) { sit(seats_, index, pid); }

  /// Two workers, and the acceptor that passes.
  Seats seats_{options_of(Mode::pool), 2, true};
};

TEST_F(SeatsTest, HaveAPageEachAndTheSupervisors) {
  EXPECT_EQ(seats_.size(), 3U);
  EXPECT_EQ(seats_.places(), 2U);
  EXPECT_EQ(seats_.pages()->size(), 4U);
  EXPECT_TRUE(seats_.passer().passes);
  EXPECT_EQ(seats_.index_of(seats_.passer()), 2U);
  EXPECT_FALSE(Seats(options_of(Mode::pool), 2, false).passer().passes);
}

TEST_F(SeatsTest, AreTakenByThoseWhoServeAndTheOnePassesBeside) {
  EXPECT_TRUE(seats_.nobody_sits());
  EXPECT_EQ(seats_.find_free(), &seat(0));
  sit(2, 12);
  EXPECT_FALSE(seats_.nobody_sits());
  EXPECT_EQ(seats_.seated(), 0U);
  sit(0, 10);
  EXPECT_EQ(seats_.find_free(), &seat(1));
  sit(1, 11);
  EXPECT_EQ(seats_.find_free(), nullptr) << "the passer's is for no worker";
  EXPECT_EQ(seats_.seated(), 2U);
  EXPECT_EQ(seats_.of(11), &seat(1));
  EXPECT_EQ(seats_.of(4711), nullptr);
}

TEST_F(SeatsTest, TotalsAndServedAreOfThoseWhoSitThere) {
  sit(0, 10);
  page(0).book.accepted.add(3);
  page(0).book.record(Ending::served);
  page(0).slot.connections.add(3);
  page(1).book.accepted.add(5);  // nobody sits there
  EXPECT_EQ(seats_.totals().accepted, 3U);
  EXPECT_EQ(seats_.totals().active(), 2U);
  sit(1, 11);
  sit(2, 12);
  EXPECT_THAT(seats_.served_by_each(), ElementsAre(3, 0)) << "without the passer";
  EXPECT_THAT(seats_.acceptors(), IsEmpty());
}

TEST_F(SeatsTest, WorkersHaveNoChildrenWhateverTheySay) {
  sit(0, 10);
  page(0).book.accepted.add(1);
  page(0).book.forked.add(1);
  EXPECT_EQ(seats_.totals().forked, 0U);
}

TEST_F(SeatsTest, ThoseWhoForkAreShownAsAcceptorsByTheirPlace) {
  Seats seats(options_of(Mode::fork), 2, false);
  sit(seats, 1, 11);
  ProcessPage& page = seats.page_of(seats.all()[1]);
  page.book.accepted.add(4);
  page.book.record(Ending::served);
  page.book.forked.add(4);
  page.book.reaped.add(2);
  const auto views = seats.acceptors();
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].number, 2U);
  EXPECT_EQ(views[0].pid, 11);
  EXPECT_EQ(views[0].accepted, 4U);
  EXPECT_EQ(views[0].active, 3U);
  EXPECT_EQ(views[0].children, 2U);
  EXPECT_THAT(seats.served_by_each(), IsEmpty());
}

TEST_F(SeatsTest, WhoServesSaysSo) {
  page(1).slot.enter(SlotState::serving);
  EXPECT_EQ(seats_.busy(), 0U) << "nobody sits there";
  sit(1, 11);
  EXPECT_EQ(seats_.busy(), 1U);
  EXPECT_TRUE(seats_.is_serving(seat(1)));
  EXPECT_FALSE(seats_.is_serving(seat(0)));
}

TEST_F(SeatsTest, SomeoneWhoHasSettledInIsShownBeforeOthersAndThePasserNever) {
  sit(2, 12);
  page(2).door = Door::open;
  EXPECT_EQ(seats_.someone_who_serves(), 0);
  sit(0, 10);
  sit(1, 11);
  EXPECT_EQ(seats_.someone_who_serves(), 10);
  page(1).door = Door::open;
  EXPECT_EQ(seats_.someone_who_serves(), 11);
  EXPECT_TRUE(seats_.is_open(seat(1)));
  seat(1).pid = 0;
  EXPECT_FALSE(seats_.is_open(seat(1))) << "nobody sits there";
}

TEST_F(SeatsTest, AClientOrSomeTimeIsAProof) {
  sit(0, 10);
  EXPECT_FALSE(seats_.has_proved_itself(seat(0)));
  page(0).slot.connections.add(1);
  EXPECT_TRUE(seats_.has_proved_itself(seat(0)));
  sit(1, 11);
  EXPECT_FALSE(seats_.has_proved_itself(seat(1)));
  page(1).book.accepted.add(1);
  EXPECT_TRUE(seats_.has_proved_itself(seat(1)));
  sit(2, 12);
  EXPECT_FALSE(seats_.has_proved_itself(seat(2)));
  seat(2).started -= std::chrono::seconds(2);
  EXPECT_TRUE(seats_.has_proved_itself(seat(2)));
}

TEST_F(SeatsTest, OthersAreWellOnlyOfOnesOwnKindAndOtherThanOneself) {
  sit(0, 10);
  sit(2, 12);
  page(0).slot.connections.add(1);
  page(2).slot.connections.add(1);
  EXPECT_FALSE(seats_.others_are_well(seat(0)));
  EXPECT_TRUE(seats_.others_are_well(seat(1)));
  EXPECT_FALSE(seats_.others_are_well(seat(2)));
}

TEST_F(SeatsTest, SlotsAreVisitedUpToALimitAndTheRestCounted) {
  for (int i = 0; i < 3; ++i) sit(static_cast<std::size_t>(i), 10 + i);
  std::vector<const Slot*> seen;
  const auto note = [&](const Slot& slot) { seen.push_back(&slot); };
  EXPECT_EQ(seats_.visit_slots(10, note), 0U);
  EXPECT_THAT(seen, ElementsAre(&page(0).slot, &page(1).slot)) << "without the passer";
  seen.clear();
  EXPECT_EQ(seats_.visit_slots(1, note), 1U);
  EXPECT_THAT(seen, ElementsAre(&page(0).slot));
}

TEST_F(SeatsTest, AnAcceptorsSlotsAreThoseOfItsChildren) {
  Seats seats(options_of(Mode::fork), 1, false);
  sit(seats, 0, 10);
  seats.all()[0].slots = std::make_unique<SlotTable>(4);
  SlotTable& slots = *seats.all()[0].slots;
  for (const std::uint32_t i : {0U, 1U, 2U}) {
    slots[i].enter(SlotState::serving);
    slots.use(i);
  }
  int seen = 0;
  EXPECT_EQ(seats.visit_slots(2, [&](const Slot&) { ++seen; }), 1U);
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace forkecho::server
