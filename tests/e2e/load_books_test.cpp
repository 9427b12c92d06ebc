// The load generator's totals are the daemon's books, exactly: over all workloads, both kinds of
// loop, both ways of closing, and each kind of address.
#include <gtest/gtest.h>

#include <cctype>

#include "tests/support/daemon_under_test.h"

namespace forkecho::tests {
namespace {

struct Shape {
  const char* name;
  Arguments options;
  bool holds_connections;
};

const std::vector<Shape> shapes{
    {"rr", {"-n", "300"}, true},
    {"rr_in_flight", {"-n", "600", "--depth", "6", "-s", "1-3000"}, true},
    {"rr_by_rate", {"-r", "500", "-d", "300ms"}, true},
    {"rr_by_poisson_rate",
     {"-r", "500", "-d", "300ms", "--arrivals", "poisson", "--depth", "3"},
     true},
    {"rr_closed_by_reset", {"-n", "300", "--close", "rst"}, true},
    {"crr", {"-n", "100", "--workload", "crr"}, false},
    {"crr_closed_by_reset", {"-n", "100", "--workload", "crr", "--close", "rst"}, false},
    {"crr_by_rate", {"-r", "100", "-d", "500ms", "--workload", "crr", "-s", "64:9,4096:1"}, false},
    {"five_on_each", {"-n", "200", "--requests-per-connection", "5"}, false},
    {"five_on_each_by_rate",
     {"-r", "500", "-d", "300ms", "--requests-per-connection", "5", "--depth", "2", "--close",
      "rst"},
     true},
    {"stream", {"-n", "300", "--workload", "stream", "-s", "20000"}, true},
};

using Row = std::tuple<std::size_t, std::size_t>;
class LoadBooks : public testing::TestWithParam<Row> {};

TEST_P(LoadBooks, AreTheServers) {
  const auto& [mode, shape_number] = GetParam();
  const Shape& shape = shapes[shape_number];
  // An iterative server serves one held connection, and the others wait.
  const bool one = all_modes[mode].is_iterative() && shape.holds_connections;
  DaemonUnderTest daemon(all_modes[mode]);
  Arguments arguments{"load",     daemon.target(), "-c",        one ? "1" : "3", "-w",     "2",
                      "--warmup", "50ms",          "--payload", "unicode",       "--json", "-"};
  arguments.insert(arguments.end(), shape.options.begin(), shape.options.end());
  const Outcome load = run_program(forkecho, arguments);
  // 2: on a machine with much else to do, the generator may rightly call its own run invalid.
  EXPECT_TRUE(load.exitcode == 0 || load.exitcode == 2) << load.err;
  const auto run = nlohmann::json::parse(load.out);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(run["totals"]["connections"], books->accepted);
  EXPECT_EQ(run["totals"]["bytes_out"], books->bytes_in);
  EXPECT_EQ(run["totals"]["bytes_in"], books->bytes_out);
  EXPECT_EQ(run["verification"]["mismatched"], 0);
  const auto& requests = run["requests"];
  EXPECT_EQ(requests["scheduled"], requests["sent"].get<int>() + requests["shed"].get<int>());
  EXPECT_EQ(requests["sent"], requests["completed"]);
  EXPECT_GT(requests["completed"], 0);
  EXPECT_TRUE(books->balance());
}

std::string name_of_row(const testing::TestParamInfo<Row>& row) {
  std::string name =
      all_modes[std::get<0>(row.param)].name + "_" + shapes[std::get<1>(row.param)].name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Modes, LoadBooks,
                         testing::Combine(testing::Range<std::size_t>(0, all_modes.size()),
                                          testing::Range<std::size_t>(0, shapes.size())),
                         name_of_row);

TEST(LoadTargets, EachKindOfAddressAndAllTogether) {
  const TempDir directory;
  DaemonUnderTest::Options options;
  options.listen = {"127.0.0.1:0", "[::1]:0", "unix:" + directory.path("socket")};
  DaemonUnderTest daemon(options);
  ASSERT_EQ(daemon.targets().size(), 3U);
  Arguments arguments{"load"};
  arguments.insert(arguments.end(), daemon.targets().begin(), daemon.targets().end());
  for (const char* option : {"-c", "6", "-n", "300", "--warmup", "0", "--json", "-"})
    arguments.emplace_back(option);
  const Outcome load = run_program(forkecho, arguments);
  EXPECT_EQ(load.exitcode, 0) << load.err;
  const auto run = nlohmann::json::parse(load.out);
  EXPECT_EQ(run["requests"]["completed"], 300);
  EXPECT_EQ(run["totals"]["connections"], 6);
  const auto books = daemon.books_at_rest();
  ASSERT_TRUE(books);
  EXPECT_EQ(books->accepted, 6U);
}

TEST(LoadTargets, RandomBytesComeBackFromAServerThatTransformsNothing) {
  DaemonUnderTest daemon(Arguments{"--transform", "none"});
  const Outcome load =
      run_program(forkecho, {"load", daemon.target(), "-n", "200", "--warmup", "0", "--payload",
                             "random", "--expect", "none", "-s", "1-5000"});
  EXPECT_EQ(load.exitcode, 0) << load.out << load.err;
}

}  // namespace
}  // namespace forkecho::tests
