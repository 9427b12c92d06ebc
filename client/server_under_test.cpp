#include "client/server_under_test.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/run_program.h"

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

}  // namespace

std::optional<ServerStatus> parse_server_status(std::string_view text) {
  const auto status = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!status.is_object() || !status.contains("pid") || !status["pid"].is_number_integer()) {
    return std::nullopt;
  }
  const auto listen = status.find("listen");
  if (listen == status.end() || !listen->is_array() || listen->empty()) return std::nullopt;
  if (!listen->front().is_string()) return std::nullopt;
  return ServerStatus{.pid = status["pid"].get<pid_t>(), .address = listen->front()};
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
  process_.emplace(background_program(argv, file(".log")));
  process_->start();
  auto question = command("status");
  question.push_back("--json");
  while (is_running()) {
    if (deadline.passed()) report_failure("did not listen in time");
    const auto answer = run_program(question, deadline);
    const auto status = parse_server_status(answer.output);
    if (answer.exitcode == 0 && status) {
      address_ = status->address;
      pid_ = status->pid;
      return;
    }
    std::this_thread::sleep_for(between_questions);
  }
  report_failure("ended at once");
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
