#include "server/book.h"

#include <gtest/gtest.h>

#include <csignal>
#include <vector>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "tests/support/child.h"

namespace forkecho::server {
namespace {

const std::vector<Ending> every_ending{Ending::served,           Ending::first_byte_timeout,
                                       Ending::idle_timeout,     Ending::write_timeout,
                                       Ending::lifetime_timeout, Ending::drain_timeout,
                                       Ending::crashed};

/// Which figure of the totals an ending belongs to.
std::uint64_t figure_of(const BookTotals& totals, Ending ending) {
  switch (ending) {
    case Ending::served:
      return totals.served;
    case Ending::first_byte_timeout:
      return totals.timed_out[0];
    case Ending::idle_timeout:
      return totals.timed_out[1];
    case Ending::write_timeout:
      return totals.timed_out[2];
    case Ending::lifetime_timeout:
      return totals.timed_out[3];
    case Ending::drain_timeout:
      return totals.timed_out[4];
    case Ending::crashed:
      return totals.crashed;
  }
  return 0;
}

TEST(Book, EachEndingHasItsOwnFigure) {
  for (const Ending ending : every_ending) {
    Book book;
    book.record(ending);
    EXPECT_EQ(figure_of(book.read(), ending), 1U) << static_cast<int>(ending);
    EXPECT_EQ(book.read().ended(), 1U) << static_cast<int>(ending);
    BookTotals totals;
    totals.add_ending(ending);
    EXPECT_EQ(figure_of(totals, ending), 1U) << static_cast<int>(ending);
    EXPECT_EQ(totals.ended(), 1U) << static_cast<int>(ending);
  }
}

TEST(Book, EachRefusalHasItsOwnFigure) {
  for (const Refusal refusal :
       {Refusal::full, Refusal::per_source, Refusal::rate, Refusal::draining}) {
    Book book;
    book.record(refusal);
    EXPECT_EQ(book.read().refused[static_cast<std::size_t>(refusal)], 1U);
    EXPECT_EQ(book.read().ended(), 1U);
  }
}

TEST(Book, EverythingAcceptedIsActiveUntilItEnds) {
  Book book;
  book.accepted.add(5);
  EXPECT_EQ(book.read().active(), 5U);
  book.record(Ending::idle_timeout);
  book.record(Refusal::full);
  book.fork_failed.add(1);
  book.record(Ending::crashed);
  EXPECT_EQ(book.read().active(), 1U);
  book.record(Ending::served);
  EXPECT_EQ(book.read().active(), 0U);
  EXPECT_EQ(book.read().ended(), book.read().accepted);
}

/// A book in which every figure is another.
BookTotals distinct_figures(std::uint64_t factor) {
  BookTotals totals{.accepted = 1,
                    .served = 2,
                    .refused = {3, 4, 5, 6},
                    .timed_out = {7, 8, 9, 10, 11},
                    .fork_failed = 12,
                    .crashed = 13,
                    .bytes_in = 14,
                    .bytes_out = 15,
                    .forked = 16,
                    .reaped = 17};
  for (std::uint64_t* figure = &totals.accepted; figure <= &totals.reaped; ++figure)
    *figure *= factor;
  return totals;
}

bool equal(const BookTotals& a, const BookTotals& b) {
  return a.accepted == b.accepted && a.served == b.served && a.refused == b.refused &&
         a.timed_out == b.timed_out && a.fork_failed == b.fork_failed && a.crashed == b.crashed &&
         a.bytes_in == b.bytes_in && a.bytes_out == b.bytes_out && a.forked == b.forked &&
         a.reaped == b.reaped;
}

TEST(BookTotals, AddsEachFigureToItsOwn) {
  BookTotals sum = distinct_figures(1);
  sum += distinct_figures(10);
  EXPECT_TRUE(equal(sum, distinct_figures(11)));
}

TEST(Book, ReadsEachFigureFromItsOwn) {
  const BookTotals expected = distinct_figures(1);
  Book book;
  book.accepted.add(expected.accepted);
  book.served.add(expected.served);
  for (std::size_t i = 0; i < 4; ++i) book.refused[i].add(expected.refused[i]);
  for (std::size_t i = 0; i < 5; ++i) book.timed_out[i].add(expected.timed_out[i]);
  book.fork_failed.add(expected.fork_failed);
  book.crashed.add(expected.crashed);
  book.bytes_in.add(expected.bytes_in);
  book.bytes_out.add(expected.bytes_out);
  book.forked.add(expected.forked);
  book.reaped.add(expected.reaped);
  EXPECT_TRUE(equal(book.read(), expected));
}

TEST(Book, ExitCodesOfChildrenStandForEndings) {
  for (const Ending ending : every_ending) {
    EXPECT_EQ(ending_of_exitcode(static_cast<int>(ending)), ending) << static_cast<int>(ending);
  }
  for (const int crash : {-SIGKILL, -SIGSEGV, 1, 70, 99, 106, 113, 255}) {
    EXPECT_EQ(ending_of_exitcode(crash), Ending::crashed) << crash;
  }
}

TEST(Book, ASnapshotOfALivingBookNeverShowsMoreEndingsThanConnections) {
  const mp::RawValue<Book> book;
  mp::Process writer([&book] {
    for (;;) {
      book->accepted.add(1);
      book->record(Ending::served);
    }
  });
  writer.set_daemon(true);
  writer.start();
  bool sane = true;
  std::uint64_t last = 0;
  for (int i = 0; i < 200000 || last < 1000; ++i) {
    const BookTotals totals = book->read();
    sane = sane && totals.ended() <= totals.accepted && totals.accepted >= last;
    last = totals.accepted;
  }
  writer.kill();
  EXPECT_TRUE(writer.join(tests::patience()));
  EXPECT_TRUE(sane);
  const BookTotals after = book->read();
  EXPECT_LE(after.active(), 1U);  // killed between the two
}

}  // namespace
}  // namespace forkecho::server
