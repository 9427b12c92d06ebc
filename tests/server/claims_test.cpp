#include "server/claims.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

TEST(DecideRoom, Table) {
  struct Case {
    Tally tally;
    std::uint64_t limit;
    Room expected;
  };
  for (const Case& c : {
           Case{{0, 0, 0}, 1, Room::yes},
           Case{{1, 0, 0}, 1, Room::none},
           Case{{2, 0, 0}, 1, Room::none},
           Case{{0, 0, 0}, 0, Room::none},
           Case{{5, 2, 2}, 10, Room::yes},              // one place for each of five
           Case{{5, 2, 3}, 10, Room::contested_yield},  // five places for six
           Case{{9, 1, 0}, 10, Room::contested_yield},
           Case{{9, 0, 1}, 10, Room::contested_stay},
           Case{{9, 1, 1}, 10, Room::contested_yield},
           Case{{10, 1, 1}, 10, Room::none},
       }) {
    EXPECT_EQ(decide_room(c.tally, c.limit), c.expected)
        << c.tally.taken << " taken, " << c.tally.asking_before << " before, "
        << c.tally.asking_behind << " behind, of " << c.limit;
  }
}

TEST(Claims, BothFiguresAreInOneWord) {
  Claims claims{};
  claims.set(0xfffffffe, Claims::Asking::for_source);
  EXPECT_EQ(Claims::places(claims.word), 0xfffffffeU);
  EXPECT_EQ(Claims::asking(claims.word), Claims::Asking::for_source);
  claims.set(3, Claims::Asking::no);
  EXPECT_EQ(Claims::places(claims.word), 3U);
  EXPECT_EQ(Claims::asking(claims.word), Claims::Asking::no);
}

}  // namespace
}  // namespace forkecho::server
