#include "server/worker.h"

#include <algorithm>
#include <csignal>

#include "common/sys/check_syscall.h"

namespace forkecho::server {
namespace {

volatile std::sig_atomic_t wish = static_cast<int>(Wish::serve);
volatile std::sig_atomic_t has_retired = 0;
void (*finish_action)() = nullptr;

void on_signal(int number) {
  const Wish next = number == SIGUSR1   ? Wish::retire
                    : number == SIGTERM ? Wish::drain
                                        : Wish::finish;
  if (next == Wish::retire) has_retired = 1;
  if (static_cast<int>(next) > wish) wish = static_cast<int>(next);
  if (next == Wish::finish && finish_action != nullptr) finish_action();
}

void set_handler(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;  // no SA_RESTART: a blocked accept or read must return
  sigfillset(&action.sa_mask);
  sys::check_syscall(sigaction(number, &action, nullptr), "sigaction");
}

}  // namespace

void install_worker_signals(void (*on_finish)()) {
  finish_action = on_finish;
  for (const int number : {SIGUSR1, SIGTERM, SIGUSR2}) set_handler(number, on_signal);
  for (const int number : {SIGPIPE, SIGINT, SIGHUP, SIGTTIN, SIGTTOU}) set_handler(number, SIG_IGN);
}

Wish current_wish() {
  return static_cast<Wish>(wish);
}

bool retired() {
  return has_retired != 0;
}

}  // namespace forkecho::server
