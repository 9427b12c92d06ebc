#include "server/acceptor_signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "common/mp/fork_onto.h"
#include "tests/server/acceptor_parts.h"

namespace forkecho::server {
namespace {

bool pending(const AcceptorSignals& signals) {
  return tests::readable(signals.fd(), sys::Deadline::immediately());
}

TEST(AcceptorSignals, HearsWhatTheSupervisorSays) {
  in_a_process_of_its_own([] {
    AcceptorSignals signals;
    EXPECT_FALSE(pending(signals));
    const std::multiset<int> sent{SIGTERM, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGQUIT};
    for (const int number : sent) raise(number);
    EXPECT_TRUE(pending(signals));
    std::multiset<int> heard;
    EXPECT_FALSE(signals.read([&](int number) { heard.insert(number); })) << "no more";
    EXPECT_EQ(heard, sent);
    EXPECT_FALSE(pending(signals));
    EXPECT_TRUE(signals.told().empty());
  });
}

TEST(AcceptorSignals, AnEndThatNobodyIsNamedInIsNotHeard) {
  in_a_process_of_its_own([] {
    AcceptorSignals signals;
    raise(SIGCHLD);
    EXPECT_FALSE(pending(signals));
    EXPECT_FALSE(signals.read([](int number) { ADD_FAILURE() << number; }));
  });
}

TEST(AcceptorSignals, AreReadInBatches) {
  in_a_process_of_its_own([] {
    AcceptorSignals signals;
    for (std::size_t i = 0; i < AcceptorSignals::at_once + 3; ++i)
      sigqueue(getpid(), ended_signal(), {});
    std::size_t heard = 0;
    const auto count = [&](int) { ++heard; };
    EXPECT_TRUE(signals.read(count));
    EXPECT_TRUE(signals.more());
    EXPECT_EQ(heard, AcceptorSignals::at_once);
    EXPECT_FALSE(signals.read(count));
    EXPECT_FALSE(signals.more());
    EXPECT_EQ(heard, AcceptorSignals::at_once + 3);
    EXPECT_TRUE(signals.told().empty()) << "a process says so, not the kernel";
  });
}

TEST(AcceptorSignals, WhoHasEndedIsNotedAndNotHandled) {
  in_a_process_of_its_own([] {
    AcceptorSignals signals;
    alignas(16) static std::array<char, 16 * 1024> stack;
    const auto leave = [](const void*, long code, void*) { _exit(static_cast<int>(code)); };
    const pid_t pid =
        mp::fork_onto(stack.data() + stack.size(), leave, {.number = 7}, ended_signal());
    ASSERT_TRUE(tests::readable(signals.fd()));
    signals.read([](int number) { ADD_FAILURE() << number; });
    ASSERT_EQ(signals.told().size(), 1U);
    EXPECT_EQ(signals.told()[0].pid, pid);
    EXPECT_EQ(signals.told()[0].exitcode, 7);
    signals.forget_told();
    EXPECT_TRUE(signals.told().empty());
    EXPECT_EQ(tests::exitcode_of(pid), 7) << "it is not reaped for that";
  });
}

}  // namespace
}  // namespace forkecho::server
