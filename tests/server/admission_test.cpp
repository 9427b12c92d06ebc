#include "server/admission.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

TEST(DecideAdmission, Table) {
  struct Case {
    std::uint64_t active;
    std::uint64_t limit;
    WhenFull when_full;
    Admission expected;
  };
  constexpr auto wait = WhenFull::wait;
  constexpr auto refuse = WhenFull::refuse;
  for (const Case& c : {
           Case{0, 1, wait, Admission::admit},
           Case{0, 1, refuse, Admission::admit},
           Case{9, 10, wait, Admission::admit},
           Case{10, 10, wait, Admission::wait},
           Case{10, 10, refuse, Admission::refuse_full},
           Case{11, 10, wait, Admission::wait},
           Case{11, 10, refuse, Admission::refuse_full},
           Case{0, 0, wait, Admission::wait},
           Case{0, 0, refuse, Admission::refuse_full},
       }) {
    EXPECT_EQ(decide_admission(c.active, c.limit, c.when_full), c.expected)
        << c.active << " of " << c.limit;
  }
}

TEST(ShareOfLimit, PartsSumUpToTheLimitAndDifferByAtMostOne) {
  for (const std::uint64_t limit : {0, 1, 2, 3, 7, 64, 10000, 10001}) {
    for (const unsigned count : {1U, 2U, 3U, 7U, 64U}) {
      std::uint64_t sum = 0;
      for (unsigned index = 0; index < count; ++index) {
        const std::uint64_t part = share_of_limit(limit, index, count);
        EXPECT_GE(part, limit / count);
        EXPECT_LE(part, limit / count + 1);
        sum += part;
      }
      EXPECT_EQ(sum, limit) << "in " << count << " parts";
    }
  }
}

}  // namespace
}  // namespace forkecho::server
