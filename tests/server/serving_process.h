// Running one acceptor or worker without a supervisor: in a child of the test, which takes the
// supervisor's part.
#pragma once

#include <unistd.h>

#include <csignal>
#include <functional>
#include <vector>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "server/process_context.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/sockets.h"

namespace forkecho::server {

enum class Blocking { yes, no };

inline std::vector<Listener> listeners_on(const std::vector<std::string>& addresses,
                                          Blocking blocking) {
  std::vector<Listener> listeners;
  for (const std::string& text : addresses) {
    listeners.push_back(Listener::open(tests::address_of(text), 1024));
    if (blocking == Blocking::no) listeners.back().set_nonblocking();
  }
  return listeners;
}

class ServingProcess {
 public:
  using Run = std::function<void(const ProcessContext&)>;

  ServingProcess(Options options, Blocking blocking, Run run,
                 const std::vector<std::string>& addresses = {"127.0.0.1:0"}, std::size_t pages = 1)
      : options_(std::move(options)),
        listeners_(listeners_on(addresses, blocking)),
        pages_(pages + 1),
        process_([this, run = std::move(run), parent = getpid()] {
          run({.options = options_,
               .listeners = listeners_,
               .pages = pages_,
               .page_index = 0,
               .peers = static_cast<unsigned>(pages_.size() - 1),
               .supervisor = parent});
        }) {
    process_.keep_signals_blocked();
    process_.start();
  }
  ~ServingProcess() {
    kill(-pid(), SIGKILL);
    process_.kill();
    process_.join();
  }

  pid_t pid() { return *process_.pid(); }
  const Listener& listener(std::size_t index = 0) const { return listeners_[index]; }
  sys::Descriptor connect(std::size_t index = 0) const {
    return tests::connect_to(listeners_[index].address());
  }
  BookTotals book() const { return read_page(pages_[0]); }
  ProcessPage& page(std::size_t index = 0) { return pages_[index]; }
  SlotState state() const { return pages_[0].slot.state.load(); }
  void signal(int number) { process_.signal(number); }
  /// As the supervisor begins a drain.
  void drain() {
    for (const Listener& listener : listeners_) {
      listener.begin_drain();
      listener.set_nonblocking();
    }
    signal(SIGTERM);
  }

  /// Its exit code, when it ends in time; `number`, if given, is repeated meanwhile, as the
  /// supervisor does.
  std::optional<int> exitcode(int number = 0, sys::Deadline deadline = tests::patience()) {
    while (!deadline.passed()) {
      if (process_.join(sys::Deadline::after(std::chrono::milliseconds(10)))) break;
      if (number != 0) signal(number);
    }
    return process_.exitcode();
  }

 private:
  Options options_;
  std::vector<Listener> listeners_;
  GenerationPages pages_;  // the supervisor's is the last
  mp::Process process_;
};

template <typename Predicate>
bool eventually(Predicate predicate) {
  return tests::eventually(tests::patience(), predicate);
}

}  // namespace forkecho::server
