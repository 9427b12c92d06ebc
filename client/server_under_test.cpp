#include "client/server_under_test.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/run_program.h"

using nlohmann::literals::operator""_json_pointer;

namespace forkecho::client {
namespace {

std::string last_line_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

std::map<pid_t, std::uint64_t> connections_of(const nlohmann::json& status) {
  std::map<pid_t, std::uint64_t> connections;
  const auto slots = status.find("slots");
  if (slots == status.end() || !slots->is_array()) return connections;
  if (status.value("slots_omitted", nlohmann::json()) != 0) return connections;
  for (const nlohmann::json& slot : *slots) {
    if (!slot.is_object()) return {};
    const auto pid = slot.find("pid");
    const auto served = slot.find("connections");
    if (pid == slot.end() || served == slot.end()) return {};
    if (!pid->is_number_integer() || !served->is_number_unsigned()) return {};
    connections[pid->get<pid_t>()] = served->get<std::uint64_t>();
  }
  return connections;
}

}  // namespace

std::optional<ServerStatus> parse_server_status(std::string_view text) {
  const auto status = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!status.is_object() || !status.contains("pid") || !status["pid"].is_number_integer()) {
    return std::nullopt;
  }
  const auto listen = status.find("listen");
  if (listen == status.end() || !listen->is_array() || listen->empty()) return std::nullopt;
  if (!listen->front().is_string()) return std::nullopt;
  ServerStatus read{.pid = status["pid"].get<pid_t>(), .address = listen->front()};
  const auto forked = "/children/forked"_json_pointer;
  if (status.contains(forked) && status[forked].is_number_unsigned()) {
    read.forked = status[forked].get<std::uint64_t>();
  }
  read.connections = connections_of(status);
  return read;
}

ServerUnderTest::ServerUnderTest(Options options) : options_(std::move(options)) {}

ServerUnderTest::~ServerUnderTest() {
  if (!is_running()) return;
  process_->kill();
  process_->join();
}

std::filesystem::path ServerUnderTest::file(const char* ending) const {
  return options_.directory / (options_.name + ending);
}

std::vector<std::string> ServerUnderTest::command(const char* verb) const {
  return {options_.program, verb, "--control", file(".sock")};
}

bool ServerUnderTest::is_running() {
  return process_ && process_->is_alive();
}

void ServerUnderTest::report_failure(const std::string& what) {
  const std::string said = last_line_of(file(".log"));
  throw ServerCannotStart(options_.program.filename().string() + " (" + options_.name + ") " +
                          what + (said.empty() ? "" : ": " + said));
}

void ServerUnderTest::start(sys::Deadline deadline) {
  constexpr auto between_questions = std::chrono::milliseconds(10);
  auto argv = command("run");
  argv.insert(argv.end(),
              {"--listen", "127.0.0.1:0", "--pidfile", file(".pid"), "--log-file", file(".log")});
  argv.insert(argv.end(), options_.options.begin(), options_.options.end());
  process_.emplace(background_program(argv, file(".log"), options_.processors));
  process_->start();
  while (is_running()) {
    if (deadline.passed()) report_failure("did not listen in time");
    if (const auto said = status(deadline)) {
      address_ = said->address;
      pid_ = said->pid;
      return;
    }
    std::this_thread::sleep_for(between_questions);
  }
  report_failure("ended at once");
}

std::optional<ServerStatus> ServerUnderTest::status(sys::Deadline deadline) const {
  auto question = command("status");
  question.push_back("--json");
  const auto answer = run_program(question, deadline);
  return answer.exitcode == 0 ? parse_server_status(answer.output) : std::nullopt;
}

bool ServerUnderTest::stop(sys::Deadline deadline) {
  if (!is_running()) return false;
  run_program(command("stop"), deadline);
  if (!process_->join(deadline)) {
    process_->kill();
    process_->join();
  }
  return process_->exitcode() == 0;
}

}  // namespace forkecho::client
