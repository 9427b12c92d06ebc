#include "client/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "client/run_json.h"
#include "client/temporary_directory.h"
#include "common/mp/process.h"
#include "tests/support/sample_comparison.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const auto noon = parse_start_moment("2026-11-21T12:00:00Z");

class RunFolder : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }

  void put(const std::string& name, std::optional<WallTime> start_at = {}) const {
    RunResult run = sample_slice(1, 1);
    run.plan.start_at = start_at;
    const std::string temporary = path(name + ".tmp");
    std::ofstream(temporary) << to_json(run);
    std::filesystem::rename(temporary, path(name));
  }

  std::string folder() const { return folder_.path(); }

 private:
  TemporaryDirectory folder_;
};

TEST_F(RunFolder, HasTheRunsAlone) {
  EXPECT_THAT(runs_in(folder(), {}), IsEmpty());
  put("b.json");
  put("a.json");
  std::ofstream(path("broken.json")) << "{\"schema\":1";
  std::ofstream(path("merged.json")) << "[]";
  put("other.txt");
  EXPECT_THAT(runs_in(folder(), {}), ElementsAre(path("a.json"), path("b.json")));
  EXPECT_THROW(runs_in(path("nowhere"), {}), std::system_error);
}

TEST_F(RunFolder, ToldApartByTheirBegin) {
  put("old.json", *noon - 1h);
  put("none.json");
  put("new.json", noon);
  EXPECT_THAT(runs_in(folder(), noon), ElementsAre(path("new.json")));
}

TEST_F(RunFolder, IsWaitedForUntilAllAreThere) {
  put("1.json");
  mp::Process other([this] {
    usleep(300'000);
    put("2.json");
  });
  other.start();
  const auto runs = wait_for_runs(folder(), 2, {}, sys::Deadline::after(30s));
  EXPECT_THAT(runs, ElementsAre(path("1.json"), path("2.json")));
  other.join();
}

TEST_F(RunFolder, TellsAtTheDeadlineWhatIsThere) {
  put("1.json");
  const auto begin = sys::Clock::now();
  EXPECT_THAT(wait_for_runs(folder(), 2, {}, sys::Deadline::after(100ms)),
              ElementsAre(path("1.json")));
  EXPECT_GE(sys::Clock::now() - begin, 100ms);
}

}  // namespace
}  // namespace forkecho::client
