#include "common/mp/futex.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"

namespace forkecho::mp {
namespace {

sys::Duration time_of(auto act) {
  const auto begin = sys::Clock::now();
  act();
  return sys::Clock::now() - begin;
}

TEST(Futex, AChangedWordIsNotSleptOn) {
  const RawValue<Word> word;
  *word = 1;
  auto quickest = sys::Duration::max();  // of several: a busy machine delays some
  for (int i = 0; i < 10; ++i)
    quickest = std::min(quickest, time_of([&] { sleep_on_word(*word, 0, tests::patience()); }));
  EXPECT_LT(quickest, longest_sleep);
}

TEST(Futex, ASleepEndsAtItsDeadlineOrAtTheLongestSleep) {
  const RawValue<Word> word;
  const auto short_sleep = std::chrono::milliseconds(5);
  EXPECT_GE(time_of([&] { sleep_on_word(*word, 0, sys::Deadline::after(short_sleep)); }),
            short_sleep);
  EXPECT_GE(time_of([&] { sleep_on_word(*word, 0, sys::Deadline::never()); }), longest_sleep);
}

TEST(Futex, AWakeReachesAnotherProcess) {
  const RawValue<Word> word;
  const RawValue<Word> woken;
  const pid_t sleeper = tests::start_child([&] {
    // Sleeps that end by themselves do not count: the wake must cut one short.
    while (*woken == 0) {
      if (time_of([&] { sleep_on_word(*word, 0, tests::patience()); }) < longest_sleep / 2)
        *woken = 1;
    }
    return 0;
  });
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] {
    if (tests::state_of(sleeper) == 'S') wake_word(*word);
    return *woken == 1;
  }));
  EXPECT_EQ(tests::exitcode_of(sleeper), 0);
}

TEST(Futex, AWakeLeavesErrnoAlone) {
  const RawValue<Word> word;
  errno = EDOM;
  wake_word(*word);
  EXPECT_EQ(errno, EDOM);
}

}  // namespace
}  // namespace forkecho::mp
