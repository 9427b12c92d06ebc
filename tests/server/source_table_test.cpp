#include "server/source_table.h"

#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <random>
#include <vector>

#include "common/mp/process.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"

namespace forkecho::server {
namespace {

constexpr Source source(std::uint64_t key) {
  return Source{key};
}

TEST(SourceTable, Counts) {
  const SourceTables tables(1, 10);
  SourceTable table = tables.table(0);
  EXPECT_EQ(table.count(source(7)), 0U);
  EXPECT_TRUE(table.add(source(7)));
  EXPECT_TRUE(table.add(source(7)));
  EXPECT_TRUE(table.add(source(0)));
  EXPECT_EQ(table.count(source(7)), 2U);
  EXPECT_EQ(table.count(source(0)), 1U);
  table.remove(source(7));
  EXPECT_EQ(table.count(source(7)), 1U);
  table.remove(source(7));
  table.remove(source(7));  // is not there
  EXPECT_EQ(table.count(source(7)), 0U);
  EXPECT_EQ(table.count(source(0)), 1U);
}

/// In a table as small as can be, where keys collide, pass each other and leave in any order.
TEST(SourceTable, AgreesWithAMapWhateverComesAndGoes) {
  std::mt19937_64 random(42);
  for (int seed = 0; seed < 20; ++seed) {
    std::vector<SourceTable::Entry> memory(16);
    SourceTable table(memory, random());
    std::map<std::uint64_t, std::uint32_t> model;
    for (int step = 0; step < 3000; ++step) {
      const std::uint64_t key = random() % 24;
      if (random() % 2 == 0 && (model.contains(key) || model.size() < 16)) {
        ASSERT_TRUE(table.add(source(key)));
        ++model[key];
      } else {
        table.remove(source(key));
        const auto found = model.find(key);
        if (found != model.end() && --found->second == 0) model.erase(found);
      }
      for (std::uint64_t k = 0; k < 24; ++k) {
        const auto found = model.find(k);
        ASSERT_EQ(table.count(source(k)), found == model.end() ? 0 : found->second) << step;
      }
    }
    for (const auto& [key, count] : model) {
      for (std::uint32_t i = 0; i < count; ++i) table.remove(source(key));
    }
    // Nothing stays behind: no mark of what was deleted makes later searches longer.
    for (const auto& entry : memory) EXPECT_EQ(entry.passed, 0U);
  }
}

TEST(SourceTable, IsFullWhenEveryPlaceIsTaken) {
  std::vector<SourceTable::Entry> memory(4);
  SourceTable table(memory, 1);
  for (std::uint64_t key = 0; key < 4; ++key) EXPECT_TRUE(table.add(source(key)));
  EXPECT_FALSE(table.add(source(4)));
  EXPECT_TRUE(table.add(source(3)));
  EXPECT_EQ(table.count(source(4)), 0U);
  table.remove(source(0));
  EXPECT_TRUE(table.add(source(4)));
}

TEST(SourceTables, AreApartAndClearedOneByOne) {
  SourceTables tables(3, 1000);
  for (std::size_t i = 0; i < tables.size(); ++i) ASSERT_TRUE(tables.table(i).add(source(5)));
  tables.clear(1);
  EXPECT_EQ(tables.table(0).count(source(5)), 1U);
  EXPECT_EQ(tables.table(1).count(source(5)), 0U);
  EXPECT_EQ(tables.table(2).count(source(5)), 1U);
  EXPECT_TRUE(tables.table(1).add(source(5)));
}

TEST(SourceTables, AProcessCanWriteToItsOwnAlone) {
  SourceTables tables(3, 1);
  const auto writes_to = [&tables](std::size_t own, std::size_t index) {
    mp::Process process([&tables, own, index] {
      tables.protect_all_but(own);
      signal(SIGSEGV, SIG_DFL);
      tables.table(index).add(source(9));
    });
    process.start();
    EXPECT_TRUE(process.join(tests::patience()));
    return process.exitcode() == 0;
  };
  for (std::size_t own = 0; own < 3; ++own) {
    for (std::size_t index = 0; index < 3; ++index) EXPECT_EQ(writes_to(own, index), own == index);
  }
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(tables.table(i).count(source(9)), 1U);
}

/// A key that is there is found at every moment, whatever its writer does with the others.
TEST(SourceTables, AReaderNeverMissesAKeyThatStays) {
  SourceTables tables(1, 1);
  ASSERT_TRUE(tables.table(0).add(source(1)));
  mp::Process writer([&tables] {
    SourceTable table = tables.table(0);
    std::mt19937_64 random(1);
    for (;;) {
      const auto key = source(2 + random() % 200);
      table.add(key);
      table.remove(source(2 + random() % 200));
      if (table.count(key) > 3) table.remove(key);
    }
  });
  writer.set_daemon(true);
  writer.start();
  const SourceTable table = tables.table(0);
  std::uint64_t looks = 0;
  for (const auto end = sys::Clock::now() + std::chrono::milliseconds(300); sys::Clock::now() < end;
       ++looks) {
    ASSERT_EQ(table.count(source(1)), 1U) << looks;
  }
  writer.kill();
  writer.join();
}

}  // namespace
}  // namespace forkecho::server
