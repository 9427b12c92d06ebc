#include "server/accept_alarm.h"

#include <sys/time.h>

#include <csignal>

#include "common/sys/check_syscall.h"

namespace forkecho::server {
namespace {

void on_alarm(int) {}

/// Again and again, since the first may come before the call that it is to end.
void ring_every(std::chrono::microseconds interval) {
  const timeval length{.tv_sec = 0, .tv_usec = static_cast<suseconds_t>(interval.count())};
  const itimerval timer{.it_interval = length, .it_value = length};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

void hear_alarms() {
  struct sigaction action {};
  action.sa_handler = on_alarm;  // no SA_RESTART: accept must return
  sys::check_syscall(sigaction(SIGALRM, &action, nullptr), "sigaction");
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &alarm, nullptr);
}

AcceptAlarm::AcceptAlarm() {
  ring_every(patience);
}

AcceptAlarm::~AcceptAlarm() {
  ring_every(std::chrono::microseconds::zero());
}

}  // namespace forkecho::server
