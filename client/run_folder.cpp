#include "client/run_folder.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "client/command.h"
#include "client/saved_file.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto look_again = 200ms;

bool is_run(const std::string& path, const std::optional<WallTime>& start_at) {
  try {
    const auto document = read_document(path);
    if (kind_of(document) != "run" || document.contains("merged_from")) return false;
    return !start_at || document["plan"].value("start_at", nlohmann::ordered_json()) ==
                            nlohmann::ordered_json(to_string(*start_at));
  } catch (const UsageError&) {
    return false;
  }
}

void pause(sys::Duration length) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(length);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = (length - seconds).count()};
  nanosleep(&time, nullptr);
}

}  // namespace

std::vector<std::string> runs_in(const std::string& folder,
                                 const std::optional<WallTime>& start_at) {
  std::vector<std::string> runs;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string path = at->path().string();
    if (at->path().extension() == ".json" && is_run(path, start_at)) runs.push_back(path);
  }
  if (error) throw std::system_error(error, "cannot read the folder " + folder);
  std::ranges::sort(runs);
  return runs;
}

std::vector<std::string> wait_for_runs(const std::string& folder, std::size_t count,
                                       const std::optional<WallTime>& start_at,
                                       sys::Deadline deadline) {
  for (;;) {
    auto runs = runs_in(folder, start_at);
    if (runs.size() >= count || deadline.passed()) return runs;
    pause(std::min<sys::Duration>(look_again, deadline.remaining()));
  }
}

}  // namespace forkecho::client
