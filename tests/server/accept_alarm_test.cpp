#include "server/accept_alarm.h"

#include <gtest/gtest.h>
#include <sys/time.h>

#include "tests/server/acceptor_parts.h"

namespace forkecho::server {
namespace {

TEST(AcceptAlarm, EndsAnAcceptForWhichNobodyIsThere) {
  in_a_process_of_its_own([] {
    const auto listeners = listeners_on({"127.0.0.1:0"}, Blocking::yes);
    hear_alarms();
    const auto begun = sys::Clock::now();
    const AcceptAlarm alarm;
    EXPECT_EQ(listeners[0].accept().outcome, AcceptResult::Outcome::none);
    EXPECT_EQ(listeners[0].accept().outcome, AcceptResult::Outcome::none) << "again and again";
    EXPECT_GE(sys::Clock::now() - begun, AcceptAlarm::patience);
  });
}

TEST(AcceptAlarm, IsSilentAfterItsScope) {
  in_a_process_of_its_own([] {
    hear_alarms();
    itimerval left{};
    {
      const AcceptAlarm alarm;
      getitimer(ITIMER_REAL, &left);
      EXPECT_GT(left.it_interval.tv_usec, 0);
    }
    getitimer(ITIMER_REAL, &left);
    EXPECT_EQ(left.it_value.tv_sec + left.it_value.tv_usec, 0);
    EXPECT_EQ(left.it_interval.tv_sec + left.it_interval.tv_usec, 0);
  });
}

TEST(AcceptAlarm, NoOtherSignalIsHeardForIt) {
  in_a_process_of_its_own([] {
    hear_alarms();
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, nullptr, &blocked);
    EXPECT_FALSE(sigismember(&blocked, SIGALRM));
    for (const int number : {SIGTERM, SIGUSR1, SIGCHLD, SIGQUIT})
      EXPECT_TRUE(sigismember(&blocked, number)) << number;
  });
}

}  // namespace
}  // namespace forkecho::server
