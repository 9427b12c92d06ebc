#include "common/mp/message_ring.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <string>

#include "tests/support/child.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"

namespace forkecho::mp {
namespace {

using sys::Deadline;

BytesView view(const std::string& text) {
  return std::as_bytes(std::span(text));
}

bool put(MessageRing& ring, const std::string& text, Deadline deadline = Deadline::immediately()) {
  return ring.put(view(text), deadline);
}

std::optional<std::string> get(MessageRing& ring, Deadline deadline = Deadline::immediately()) {
  std::array<std::byte, 16> small;
  Inbox inbox{small, {}};
  const auto bytes = ring.get(inbox, deadline);
  if (!bytes) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

constexpr std::size_t kilobyte = 1024;

TEST(NextPlace, IsBehindTheLastMessageWhileThatIsWarm) {
  EXPECT_EQ(next_place({0, 10}, {0, 10}, 5, 100), 10U);
  EXPECT_EQ(next_place({20, 10}, {30, 10}, 60, 100), 40U);
}

TEST(NextPlace, IsAtTheBeginningWhenTheEndIsReached) {
  EXPECT_EQ(next_place({20, 10}, {30, 65}, 6, 100), 0U);
  EXPECT_EQ(next_place({20, 10}, {30, 65}, 20, 100), 0U);
  EXPECT_EQ(next_place({20, 10}, {30, 65}, 21, 100), std::nullopt);
  EXPECT_EQ(next_place({20, 10}, {30, 65}, 5, 100), 95U);
}

TEST(NextPlace, IsBelowTheFirstMessageOnceItHasWrapped) {
  EXPECT_EQ(next_place({20, 10}, {0, 12}, 8, 100), 12U);
  EXPECT_EQ(next_place({20, 10}, {0, 12}, 9, 100), std::nullopt);
  EXPECT_EQ(next_place({20, 10}, {0, 20}, 1, 100), std::nullopt);
}

TEST(NextPlace, ReturnsToTheBeginningEarlyToStayInTheCache) {
  const auto length = static_cast<std::uint32_t>(kilobyte);
  const auto behind = static_cast<std::uint32_t>(63 * kilobyte);
  EXPECT_EQ(next_place({behind, length}, {behind, length}, length, kilobyte << 10), 0U);
  // Not where it would overwrite the first message.
  EXPECT_EQ(next_place({length / 2, length}, {behind, length}, length, kilobyte << 10),
            behind + length);
}

TEST(MessageRing, GivesMessagesOfEveryLengthBackInOrder) {
  MessageRing ring(100, 4 * kilobyte);
  std::deque<std::string> inside;
  std::mt19937 random(1);  // NOLINT: the same numbers every time
  std::size_t bytes = 0;
  std::size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string message(random() % 200, static_cast<char>('a' + i % 26));
    if (random() % 2 == 0) {
      if (put(ring, message)) {
        inside.push_back(message);
        bytes += message.size();
      } else {
        // Never while there are places and half of the bytes are free.
        EXPECT_TRUE(inside.size() == 100 || bytes + message.size() > 2 * kilobyte);
        ++refused;
      }
    } else {
      const auto got = get(ring);
      ASSERT_EQ(got.has_value(), !inside.empty());
      if (!got) continue;
      ASSERT_EQ(*got, inside.front());
      bytes -= inside.front().size();
      inside.pop_front();
    }
    ASSERT_EQ(ring.size(), inside.size());
  }
  EXPECT_EQ(ring.lost(), 0U);
  EXPECT_GT(refused, 0U);
}

TEST(MessageRing, EmptyMessagesAreMessages) {
  MessageRing ring(10, 4);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(put(ring, ""));
  EXPECT_FALSE(put(ring, "")) << "each takes a byte";
  for (int i = 0; i < 4; ++i) ASSERT_EQ(get(ring), "");
  EXPECT_EQ(get(ring), std::nullopt);
}

TEST(MessageRing, IsFullByItemsOrByBytes) {
  MessageRing ring(3, 100);
  EXPECT_TRUE(put(ring, "1"));
  EXPECT_TRUE(put(ring, "2"));
  EXPECT_TRUE(put(ring, "3"));
  EXPECT_FALSE(put(ring, "4"));
  while (get(ring)) continue;
  EXPECT_TRUE(put(ring, std::string(60, 'x')));
  EXPECT_FALSE(put(ring, std::string(41, 'x')));
  EXPECT_TRUE(put(ring, std::string(40, 'x')));
  EXPECT_FALSE(put(ring, "5"));
}

TEST(MessageRing, TheLongestMessageIsAsLongAsTheRing) {
  MessageRing ring(3, 100);
  EXPECT_THROW(put(ring, std::string(101, 'x')), std::length_error);
  EXPECT_TRUE(put(ring, std::string(100, 'x')));
  EXPECT_EQ(get(ring), std::string(100, 'x'));
}

TEST(MessageRing, RefusesSizesThatItCannotHave) {
  EXPECT_THROW(MessageRing(0, 100), std::invalid_argument);
  EXPECT_THROW(MessageRing(1, 0), std::invalid_argument);
  EXPECT_THROW(MessageRing((std::size_t{1} << 31) + 1, 100), std::invalid_argument);
  EXPECT_THROW(MessageRing(1, std::size_t{1} << 32), std::invalid_argument);
}

TEST(MessageRing, AMostlyEmptyRingTouchesLittleMemory) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the sanitizer's own pages count";
#endif
  MessageRing ring(1000, 16 * kilobyte * kilobyte);
  const std::string message(kilobyte, 'x');
  const auto faults = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  };
  std::array<std::byte, 2 * kilobyte> small;
  Inbox inbox{small, {}};
  put(ring, message);  // never empty from here on
  const long before = faults();
  for (int i = 0; i < 16 * 1024; ++i) {
    put(ring, message);
    ring.get(inbox, Deadline::immediately());
  }
  EXPECT_LT(faults() - before, 100) << "the whole ring has 4096 pages";
}

TEST(MessageRing, AWaitingGetterSleepsAndIsWokenByAPut) {
  MessageRing ring(10, 100);
  const pid_t getter =
      tests::start_child([&] { return get(ring, tests::patience()) == "news" ? 0 : 1; });
  EXPECT_TRUE(tests::sleeps(getter));
  put(ring, "news");
  EXPECT_EQ(tests::exitcode_of(getter), 0);
}

TEST(MessageRing, AWaitingPutterSleepsAndIsWokenByAGet) {
  MessageRing ring(1, 100);
  put(ring, "old");
  const pid_t putter =
      tests::start_child([&] { return put(ring, "new", tests::patience()) ? 0 : 1; });
  EXPECT_TRUE(tests::sleeps(putter));
  EXPECT_EQ(get(ring), "old");
  EXPECT_EQ(tests::exitcode_of(putter), 0);
  EXPECT_EQ(get(ring), "new");
}

TEST(MessageRing, AWakeUpIsNotLeftToTheSleepersOwnLook) {
  MessageRing there(10, 100);
  MessageRing back(10, 100);
  constexpr int rounds = 40;
  const pid_t echo = tests::start_child([&] {
    for (int i = 0; i < rounds; ++i) put(back, *get(there, tests::patience()));
    return 0;
  });
  const auto begin = sys::Clock::now();
  for (int i = 0; i < rounds; ++i) {
    poll(nullptr, 0, 2);  // the other side is asleep by now
    put(there, "x");
    ASSERT_EQ(get(back, tests::patience()), "x");
  }
  // Every one by its own look would be 40 times some 48 ms.
  EXPECT_LT(sys::Clock::now() - begin, rounds * longest_sleep / 2);
  EXPECT_EQ(tests::exitcode_of(echo), 0);
}

TEST(MessageRing, EveryPutWakesOneOfManySleepers) {
  MessageRing there(10, 100);
  MessageRing back(10, 100);
  // In turn, so that one who is a round ahead does not take what is meant for one who is behind.
  MessageRing odd(10, 100);
  MessageRing even(10, 100);
  const auto again = [&](int round) -> MessageRing& { return round % 2 == 0 ? even : odd; };
  constexpr int rounds = 20;
  constexpr int sleepers = 4;
  std::vector<pid_t> children;
  for (int i = 0; i < sleepers; ++i) {
    children.push_back(tests::start_child([&] {
      for (int round = 0; round < rounds; ++round) {
        put(back, *get(there, tests::patience()));
        get(again(round), tests::patience());
      }
      return 0;
    }));
  }
  auto quickest = sys::Duration::max();
  for (int round = 0; round < rounds; ++round) {
    poll(nullptr, 0, 2);  // all are asleep by now
    const auto begin = sys::Clock::now();
    for (int i = 0; i < sleepers; ++i) put(there, "x");
    for (int i = 0; i < sleepers; ++i) ASSERT_TRUE(get(back, tests::patience()));
    quickest = std::min(quickest, sys::Duration(sys::Clock::now() - begin));
    for (int i = 0; i < sleepers; ++i) put(again(round), "x");
  }
  // One that was not woken looks for itself when its sleep is over, in every round; a busy machine
  // delays some rounds, and not all.
  EXPECT_LT(quickest, longest_sleep / 2);
  for (const pid_t child : children) EXPECT_EQ(tests::exitcode_of(child), 0);
}

TEST(MessageRing, ALongMessageIsNotPassedByShortOnesForEver) {
  MessageRing ring(1000, kilobyte);
  ASSERT_TRUE(put(ring, "x"));
  const pid_t small = tests::start_child([&] {
    for (;;) put(ring, "x", Deadline::never());
    return 0;
  });
  const pid_t large = tests::start_child(
      [&] { return put(ring, std::string(kilobyte, 'L'), tests::patience()) ? 0 : 1; });
  // The short ones alone would keep the ring from ever being empty: the last one is taken when no
  // other comes for longer than their producer can oversleep.
  const auto deadline = Deadline::after(std::chrono::seconds(5));
  const auto long_enough = 4 * longest_sleep;
  bool arrived = false;
  while (!arrived && !deadline.passed()) {
    tests::eventually(Deadline::after(long_enough), [&] { return ring.size() > 1; });
    arrived = get(ring, tests::patience())->size() == kilobyte;
  }
  EXPECT_TRUE(arrived);
  kill(small, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(small), -SIGKILL);
  while (!arrived && get(ring)) continue;
  EXPECT_EQ(tests::exitcode_of(large), 0);
}

TEST(MessageRing, ACallThatMustNotWaitWaitsForOthersInTheMiddleOfTheirs) {
  MessageRing ring(10, 100);
  put(ring, "x");
  bool got = false;
  for (int attempt = 0; attempt < 5 && !got; ++attempt) {  // the machine may be busy
    tests::Gate held;
    const pid_t holder = tests::start_child([&] {
      const MessageRing::GettersTurn turn(ring, Deadline::never());
      held.open();
      poll(nullptr, 0, 10);  // a slow copy
      return 0;
    });
    ASSERT_TRUE(held.pass());
    got = get(ring) == "x";
    EXPECT_EQ(tests::exitcode_of(holder), 0);
  }
  EXPECT_TRUE(got);
}

TEST(MessageRing, AStoppedProcessInTheMiddleKeepsOthersNoLongerThanTheirDeadline) {
  MessageRing ring(10, 100);
  put(ring, "x");
  tests::Gate held;
  tests::Gate go;
  const pid_t holder = tests::start_child([&] {
    const MessageRing::GettersTurn turn(ring, Deadline::never());
    held.open();
    go.pass();
    return 0;
  });
  ASSERT_TRUE(held.pass());
  EXPECT_EQ(get(ring), std::nullopt);
  const auto begin = sys::Clock::now();
  const auto wait = std::chrono::milliseconds(80);
  EXPECT_EQ(get(ring, Deadline::after(wait)), std::nullopt);
  EXPECT_GE(sys::Clock::now() - begin, wait);
  EXPECT_TRUE(put(ring, "y")) << "those who put are not kept";
  go.open();
  EXPECT_EQ(get(ring, tests::patience()), "x");
  EXPECT_EQ(tests::exitcode_of(holder), 0);
}

}  // namespace
}  // namespace forkecho::mp
