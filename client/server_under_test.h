// ServerUnderTest: a forkechod that compare started, on a port that the kernel chose.
//
// It dies with the process that made it, however that ends: its supervisor is told by the kernel,
// and everything below the supervisor goes with it. Of the process that made it; not safe between
// threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "client/processor_pins.h"
#include "common/mp/process.h"
#include "common/sys/deadline.h"

namespace forkecho::client {

/// One line for the user: which server, and what it said last.
struct ServerCannotStart : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What `forkechod status --json` says that is needed here.
struct ServerStatus {
  pid_t pid = 0;
  std::string address{};                  // the first it listens on
  std::optional<std::uint64_t> forked{};  // processes that served connections, since it started
  /// Connections of each process that serves; empty when some were left out.
  std::map<pid_t, std::uint64_t> connections{};
};
/// Empty when the text is no such object. Pure.
std::optional<ServerStatus> parse_server_status(std::string_view json);

class ServerUnderTest {
 public:
  struct Options {
    std::string name;                  // of the design; names its files too
    std::filesystem::path program;     // forkechod
    std::filesystem::path directory;   // for its socket, pid file and log; exists
    std::vector<std::string> options;  // beside those that say where
    Processors processors{};           // that it may run on; empty = any
  };

  explicit ServerUnderTest(Options options);
  ServerUnderTest(ServerUnderTest&&) = default;
  ServerUnderTest& operator=(ServerUnderTest&&) = delete;
  /// Kills what stop did not end.
  ~ServerUnderTest();

  /// Returns once it answers on its control socket. Throws ServerCannotStart, also at the deadline;
  /// std::system_error when the system refuses a process.
  void start(sys::Deadline deadline);
  /// Drains it through `forkechod stop`; at the deadline it is killed. True when it ended by itself
  /// with 0.
  bool stop(sys::Deadline deadline);

  const std::string& name() const { return options_.name; }
  const std::string& address() const { return address_; }  // after start
  pid_t pid() const { return pid_; }                       // of the supervisor, after start
  bool is_running();
  /// What it says of itself now; empty when it does not by the deadline.
  std::optional<ServerStatus> status(sys::Deadline deadline) const;

 private:
  std::filesystem::path file(const char* ending) const;
  std::vector<std::string> command(const char* verb) const;
  [[noreturn]] void report_failure(const std::string& what);

  Options options_;
  std::optional<mp::Process> process_;
  std::string address_;
  pid_t pid_ = 0;
};

}  // namespace forkecho::client
