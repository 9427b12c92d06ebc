#include "common/mp/barrier.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/eventually.h"
#include "tests/support/kill_rounds.h"
#include "tests/support/proves.h"
#include "tests/support/soak.h"

namespace forkecho::mp {
namespace {

/// A barrier for two that live on and a third, which is killed again and again. What each of the
/// two has passed shows whether ever one passed without the other.
class Meeting {
 public:
  explicit Meeting(std::function<void()> action = {}) : barrier_(3, std::move(action)) {}

  /// Once round for one of the two; after a break it waits for the reset.
  int attend(std::atomic<long>& passed) {
    const auto deadline = tests::patience();
    try {
      barrier_.wait(deadline);
      ++passed;
    } catch (const BrokenBarrier&) {
      ++breaks_->count;
      if (deadline.passed()) return 1;
      return tests::eventually(tests::patience(), [&] { return !barrier_.broken() || *over_; }) ? 0
                                                                                                : 2;
    }
    return 0;
  }

  /// The third; as long as it was not killed.
  void attend_as_third() {
    try {
      barrier_.wait(tests::patience());
    } catch (const BrokenBarrier&) {
      barrier_.reset();
    }
  }

  /// Lets whoever waits go, now and later.
  void end() {
    *over_ = true;
    barrier_.abort();
  }

  struct Figures {
    std::atomic<long> first_passed;
    std::atomic<long> second_passed;
    std::atomic<long> count;
  };
  Figures& figures() { return *breaks_; }

 private:
  Barrier barrier_;
  RawValue<Figures> breaks_;
  RawValue<std::atomic<bool>> over_;
};

void kill_the_third(Meeting& meeting, std::initializer_list<const char*> steps) {
  auto& figures = meeting.figures();
  tests::Survivors survivors;
  survivors.start(1, [&] { return meeting.attend(figures.first_passed); });
  survivors.start(1, [&] { return meeting.attend(figures.second_passed); });
  const auto victim = [&] { meeting.attend_as_third(); };
  for (const char* const step : steps) tests::kill_each_at(step, tests::soak(25, 250), victim);
  tests::kill_each_at_random(tests::soak(350, 3500), victim);
  const long before = figures.first_passed;
  for (int i = 0; i < 10'000 && figures.first_passed < before + 10; ++i) meeting.attend_as_third();
  EXPECT_GE(figures.first_passed, before + 10);
  survivors.tell_to_stop();
  meeting.end();
  survivors.stop();
  // The end may have come between the two's last marks: all pass or none does, so no more than
  // that.
  EXPECT_EQ(figures.first_passed, figures.second_passed);
  EXPECT_GT(figures.count, 0);
}

TEST(BarrierKilled, PartiesAtAnyMoment) {
  PROVES("0.5");
  Meeting meeting;
  kill_the_third(meeting,
                 {"barrier.wait.arriving", "barrier.wait.arrived", "barrier.wait.seated",
                  "barrier.wait.waiting", "barrier.wait.woken", "barrier.let_pass.committed",
                  "barrier.mark_seats.one", "barrier.mark_seats.all", "barrier.break.committed",
                  "barrier.reset.broken"});
}

TEST(BarrierKilled, PartiesThatRunTheActionAtAnyMoment) {
  Meeting meeting([] { FORKECHO_MP_STEP("test.barrier.action"); });
  kill_the_third(meeting, {"barrier.wait.arrived", "test.barrier.action", "barrier.wait.acted",
                           "barrier.let_pass.committed", "barrier.mark_seats.one"});
}

}  // namespace
}  // namespace forkecho::mp
