#include "server/published.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"
#include "tests/support/eventually.h"

namespace forkecho::server {
namespace {

struct Odd {
  std::uint64_t first;
  char text[5];
};

TEST(Published, BeforeTheFirstValueThereAreZeros) {
  const Published<Odd> published;
  EXPECT_EQ(published.read().first, 0U);
  EXPECT_STREQ(published.read().text, "");
}

TEST(Published, TheLastValueIsRead) {
  Published<Odd> published;
  for (std::uint64_t i = 1; i < 10; ++i) {
    published.publish({.first = i, .text = {'a', 'b', 'c', 'd', static_cast<char>('0' + i)}});
    EXPECT_EQ(published.read().first, i);
    EXPECT_EQ(std::string(published.read().text, 5), "abcd" + std::to_string(i));
  }
}

struct Row {
  std::array<std::uint64_t, 200> figures;
};

TEST(Published, AReaderInAnotherProcessNeverSeesHalfAValue) {
  mp::RawValue<Published<Row>> published;
  mp::RawValue<std::atomic<bool>> enough;
  mp::Process writer([&] {
    Row row{};
    for (std::uint64_t i = 1; !enough->load(); ++i) {
      row.figures.fill(i);
      published->publish(row);
    }
  });
  writer.start();
  std::uint64_t different = 0;
  std::uint64_t last = 0;
  const auto deadline = tests::patience();
  while (different < 300 && !deadline.passed()) {
    const Row row = published->read();
    different += row.figures[0] != last;
    EXPECT_GE(row.figures[0], last);
    last = row.figures[0];
    ASSERT_TRUE(std::all_of(row.figures.begin(), row.figures.end(),
                            [last](std::uint64_t figure) { return figure == last; }));
  }
  enough->store(true);
  writer.join();
  EXPECT_EQ(different, 300U);
}

TEST(Published, AWriterThatStopsForEverLeavesTheValueBefore) {
  mp::RawValue<Published<Row>> published;
  Row row{};
  row.figures.fill(7);
  published->publish(row);
  for (int round = 0; round < 20; ++round) {
    mp::Process writer([&] {
      Row other{};
      for (std::uint64_t i = 8;; ++i) {
        other.figures.fill(i);
        published->publish(other);
      }
    });
    writer.start();
    const std::uint64_t before = published->read().figures[0];
    tests::eventually(tests::patience(), [&] { return published->read().figures[0] > before; });
    writer.kill();
    writer.join();
    const Row left = published->read();
    EXPECT_TRUE(std::all_of(left.figures.begin(), left.figures.end(),
                            [&](std::uint64_t figure) { return figure == left.figures[0]; }));
  }
}

}  // namespace
}  // namespace forkecho::server
