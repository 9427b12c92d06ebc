#include "tests/support/daemon_under_test.h"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <stdexcept>

#include "tests/support/eventually.h"
#include "tests/support/proc_view.h"
#include "tests/support/processes.h"

namespace forkecho::tests {
namespace {

bool is_anybody_served(const nlohmann::json& status) {
  const auto& slots = status["slots"];
  return std::any_of(slots.begin(), slots.end(),
                     [](const nlohmann::json& slot) { return slot["state"] == "serving"; });
}

Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

bool names(const Arguments& arguments, const std::string& option) {
  return std::find(arguments.begin(), arguments.end(), option) != arguments.end();
}

Arguments arguments_of(const DaemonUnderTest::Options& options, const std::string& control) {
  Arguments arguments{"run", "--control", control};
  const auto given = [&](const char* option) { return names(options.arguments, option); };
  if (!given("--mode") && !given("--config") && !given("--acceptors"))
    arguments = arguments + Arguments{"--acceptors", "1"};
  for (const std::string& address : options.listen)
    arguments = arguments + Arguments{"--listen", address};
  return arguments + options.arguments;
}

std::string value_of(const Arguments& arguments, const std::string& option) {
  const auto at = std::find(arguments.rbegin(), arguments.rend(), option);
  return at == arguments.rend() || at == arguments.rbegin() ? std::string() : *(at - 1);
}

bool do_fork_children(const Arguments& arguments) {
  const std::string mode = value_of(arguments, "--mode");
  return mode.empty() || mode == "fork" ||
         (mode == "pool" && value_of(arguments, "--connections-per-worker-life") == "1");
}

ProgramOptions in_own_session(ProgramOptions options) {
  options.own_session = true;
  return options;
}

std::uint64_t sum_of(const nlohmann::json& counts) {
  std::uint64_t sum = 0;
  for (const auto& count : counts) sum += count.get<std::uint64_t>();
  return sum;
}

}  // namespace

namespace {
/// Also for those who ask before main, in another file.
const std::vector<ModeUnderTest>& modes() {
  /// Enough workers for every test's clients at once.
  const Arguments roomy_pool{"--pool-start", "8", "--pool-min-spare", "4", "--pool-max", "64"};
  static const std::vector<ModeUnderTest> table{
      {.name = "iterative", .arguments = {"--mode", "iterative"}},
      {.name = "fork", .arguments = {"--mode", "fork", "--acceptors", "1"}},
      {.name = "fork_acceptors", .arguments = {"--mode", "fork", "--acceptors", "3"}},
      {.name = "pool", .arguments = Arguments{"--mode", "pool"} + roomy_pool},
      {.name = "pool_lock",
       .arguments = Arguments{"--mode", "pool", "--accept", "lock"} + roomy_pool},
      {.name = "pool_passing",
       .arguments = Arguments{"--mode", "pool", "--accept", "passing"} + roomy_pool},
      {.name = "pool_reuseport",
       .arguments = {"--mode", "pool", "--accept", "reuseport", "--pool-start", "8"}},
      {.name = "pool_single_use",
       .arguments = Arguments{"--mode", "pool", "--connections-per-worker-life", "1"} + roomy_pool},
      {.name = "event", .arguments = {"--mode", "event"}},
  };
  return table;
}
}  // namespace

const std::vector<ModeUnderTest> all_modes = modes();

const ModeUnderTest& mode_named(const std::string& name) {
  for (const ModeUnderTest& mode : modes()) {
    if (mode.name == name) return mode;
  }
  throw std::invalid_argument("no mode is called " + name);
}

std::string name_of_mode(const testing::TestParamInfo<ModeUnderTest>& info) {
  return info.param.name;
}

void PrintTo(const ModeUnderTest& mode, std::ostream* out) {
  *out << mode.name;
}

std::vector<std::string> addresses_for(const ModeUnderTest& mode, const TempDir& directory) {
  std::vector<std::string> addresses{"127.0.0.1:0", "[::1]:0"};
  if (!mode.has_own_queues()) addresses.push_back("unix:" + directory.path("x.sock"));
  return addresses;
}

BooksSeen books_in(const nlohmann::json& status) {
  const auto& connections = status.at("connections");
  const auto& children = status.at("children");
  return {.accepted = connections.at("accepted"),
          .active = connections.at("active"),
          .served = connections.at("served"),
          .refused = sum_of(connections.at("refused")),
          .timed_out = sum_of(connections.at("timed_out")),
          .fork_failed = connections.at("fork_failed"),
          .crashed = connections.at("crashed"),
          .bytes_in = status.at("bytes").at("in"),
          .bytes_out = status.at("bytes").at("out"),
          .forked = children.at("forked"),
          .reaped = children.at("reaped"),
          .idle = children.at("idle"),
          .busy = children.at("busy")};
}

std::optional<BooksSeen> books_in_log(const std::string& log) {
  const auto begin = log.rfind("books: ");
  if (begin == std::string::npos) return std::nullopt;
  unsigned long n[18] = {};
  const int found = std::sscanf(
      log.c_str() + begin,
      "books: accepted %lu, active %lu, served %lu, refused (full %lu, per_source %lu, rate %lu, "
      "draining %lu), timed out (first_byte %lu, idle %lu, write %lu, lifetime %lu, drain %lu), "
      "fork failed %lu, crashed %lu, bytes in %lu, out %lu",
      &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9], &n[10], &n[11], &n[12],
      &n[13], &n[14], &n[15]);
  if (found != 16) return std::nullopt;
  BooksSeen books{.accepted = n[0], .active = n[1], .served = n[2]};
  books.refused = n[3] + n[4] + n[5] + n[6];
  books.timed_out = n[7] + n[8] + n[9] + n[10] + n[11];
  books.fork_failed = n[12];
  books.crashed = n[13];
  books.bytes_in = n[14];
  books.bytes_out = n[15];
  return books;
}

void PrintTo(const BooksSeen& books, std::ostream* out) {
  *out << "accepted " << books.accepted << ", active " << books.active << ", served "
       << books.served << ", refused " << books.refused << ", timed out " << books.timed_out
       << ", fork failed " << books.fork_failed << ", crashed " << books.crashed << "; bytes in "
       << books.bytes_in << ", out " << books.bytes_out << "; forked " << books.forked
       << ", reaped " << books.reaped << ", idle " << books.idle << ", busy " << books.busy;
}

DaemonUnderTest::DaemonUnderTest(Arguments arguments)
    : DaemonUnderTest(Options{.arguments = std::move(arguments), .control = {}, .program = {}}) {}

DaemonUnderTest::DaemonUnderTest(const ModeUnderTest& mode, Arguments more)
    : DaemonUnderTest(mode.arguments + more) {}

DaemonUnderTest::DaemonUnderTest(Options options)
    : control_(options.control.empty() ? directory_.path("d.sock") : options.control),
      program_(options.path, arguments_of(options, control_), in_own_session(options.program)),
      forks_children_(do_fork_children(options.arguments)) {
  wait_until_ready();
}

DaemonUnderTest::~DaemonUnderTest() {
  program_.signal(SIGKILL);
  program_.wait();
  // Whatever a failed test left alive may not disturb the next one.
  eventually(sys::Deadline::after(std::chrono::seconds(2)),
             [this] { return living_below(pid()).empty(); });
  for (const ProcessView& left : living_below(pid())) {
    ADD_FAILURE() << "process " << left.pid << " (" << title_of(left.pid)
                  << ") outlived its supervisor";
    kill(left.pid, SIGKILL);
  }
}

void DaemonUnderTest::wait_until_ready() {
  const bool ready = eventually(patience(), [this] {
    if (!program_.is_alive()) return true;
    const auto status = try_status();
    if (!status || (*status)["state"] != "running") return false;
    targets_ = (*status)["listen"].get<std::vector<std::string>>();
    return all_have_settled_in();
  });
  if (!ready || targets_.empty()) throw std::runtime_error("forkechod did not come up: " + log());
}

/// Until then they look as the supervisor does, and have its privileges.
bool DaemonUnderTest::all_have_settled_in() const {
  const auto children = living_children(pid(), pid());
  return std::none_of(children.begin(), children.end(), [](const ProcessView& view) {
    return title_of(view.pid).find("supervisor") != std::string::npos;
  });
}

std::optional<int> DaemonUnderTest::stop() {
  signal(SIGTERM);
  return wait();
}

std::optional<nlohmann::json> DaemonUnderTest::try_status() {
  const Outcome answer = run_program(forkechod, {"status", "--json", "--control", control_});
  if (answer.exitcode != 0) return std::nullopt;
  return nlohmann::json::parse(answer.out);
}

nlohmann::json DaemonUnderTest::status() {
  const Outcome answer = run_program(forkechod, {"status", "--json", "--control", control_});
  if (answer.exitcode != 0) throw std::runtime_error("status: " + answer.err + "\nlog: " + log());
  return nlohmann::json::parse(answer.out);
}

std::optional<BooksSeen> DaemonUnderTest::books_at_rest(sys::Deadline deadline) {
  std::optional<BooksSeen> seen;
  const bool rests = eventually(deadline, [&] {
    // A single-use worker accepts by itself, and serves before its acceptor books it.
    if (is_anybody_served(status())) return false;
    seen = books();
    return seen->active == 0;
  });
  return rests ? seen : std::nullopt;
}

bool DaemonUnderTest::wait_for_active(std::uint64_t active, sys::Deadline deadline) {
  return eventually(deadline, [&] { return books().active == active; });
}

std::vector<pid_t> DaemonUnderTest::accepting_processes() const {
  std::vector<pid_t> pids;
  for (const ProcessView& view : living_children(pid(), pid())) {
    // Children that a dead acceptor left to the supervisor serve, and accept nothing. A newborn one
    // still has its title, but is of its group.
    const bool accepts = title_of(view.pid).find("acceptor") != std::string::npos &&
                         status_of(view.pid).group == view.pid;
    if (!forks_children_ || accepts) pids.push_back(view.pid);
  }
  return pids;
}

}  // namespace forkecho::tests
