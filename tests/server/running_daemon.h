// A whole daemon in a child of the test: its supervisor and everything below it.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/mp/process.h"
#include "common/mp/reap.h"
#include "server/control_socket.h"
#include "server/listener.h"
#include "server/supervisor.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {

/// Options of a daemon that keeps its files in `directory`.
inline Options daemon_options(const tests::TempDir& directory, Mode mode = Mode::fork) {
  Options options;
  options.mode = mode;
  options.listen = {"127.0.0.1:0"};
  options.pool = {.start = 3, .min_spare = 2, .max_spare = 4, .max = 50};
  options.control = directory.path("d.sock");
  options.pidfile = directory.path("d.pid");
  options.log.file = directory.path("d.log");
  return options;
}

/// What `status` answers.
inline nlohmann::json status_at(const std::string& control) {
  return nlohmann::json::parse(ControlClient(control).ask("status", tests::patience()));
}

/// The book of a daemon is closed: everyone who came has gone.
inline bool balances(const nlohmann::json& status) {
  const auto& c = status["connections"];
  std::uint64_t ended = c["served"].get<std::uint64_t>() + c["fork_failed"].get<std::uint64_t>() +
                        c["crashed"].get<std::uint64_t>();
  for (const auto& count : c["refused"]) ended += count.get<std::uint64_t>();
  for (const auto& count : c["timed_out"]) ended += count.get<std::uint64_t>();
  const auto& k = status["children"];
  return c["accepted"] == ended &&
         k["forked"].get<std::uint64_t>() == k["reaped"].get<std::uint64_t>() +
                                                 k["idle"].get<std::uint64_t>() +
                                                 k["busy"].get<std::uint64_t>();
}

class RunningDaemon {
 public:
  explicit RunningDaemon(Options options)
      : options_(std::move(options)),
        process_([this] { run_supervisor(options_, [this] { ready_.open(); }); }) {
    process_.start();
    EXPECT_TRUE(ready_.pass()) << log();
    address_ = tests::address_of(status()["listen"][0].get<std::string>());
  }
  ~RunningDaemon() {
    process_.kill();
    process_.join();
  }

  pid_t pid() { return *process_.pid(); }
  const sys::SocketAddress& address() const { return address_; }
  sys::Descriptor connect() const { return tests::connect_to(address_); }
  nlohmann::json status() const { return status_at(options_.control); }
  std::string ask(const std::string& request) const {
    return ControlClient(options_.control).ask(request, tests::patience());
  }
  void signal(int number) { process_.signal(number); }
  std::string log() const { return tests::content_of(options_.log.file); }
  /// Its exit code, if it ends before the deadline.
  std::optional<int> exitcode(sys::Deadline deadline = tests::patience()) {
    return process_.join(deadline) ? process_.exitcode() : std::nullopt;
  }
  template <typename Predicate>
  bool until_status(Predicate predicate) const {
    return tests::eventually(tests::patience(), [&] { return predicate(status()); });
  }

 private:
  Options options_;
  tests::Gate ready_;
  mp::Process process_;
  sys::SocketAddress address_;
};

}  // namespace forkecho::server
