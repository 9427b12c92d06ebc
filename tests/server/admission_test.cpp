#include "server/admission.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

constexpr auto waits = WhenFull::wait;
constexpr auto refuses = WhenFull::refuse;
constexpr auto admit = Admission::admit();
constexpr Admission wait{Admission::Verdict::wait};
constexpr Admission pause{Admission::Verdict::pause};
constexpr auto full = Admission::refuse(Refusal::full);
constexpr auto per_source = Admission::refuse(Refusal::per_source);
constexpr auto rate = Admission::refuse(Refusal::rate);
constexpr auto draining = Admission::refuse(Refusal::draining);

struct Case {
  const char* what;
  AdmissionFacts facts;
  Admission expected;
};

void expect_table(std::initializer_list<Case> table) {
  for (const Case& c : table) {
    const Admission decided = decide_admission(c.facts);
    EXPECT_EQ(decided, c.expected) << c.what << ": verdict " << static_cast<int>(decided.verdict)
                                   << ", reason " << static_cast<int>(decided.reason);
  }
}

TEST(DecideAdmission, LimitOfAll) {
  expect_table({
      {"empty", {.active = 0, .limit = 1, .when_full = waits}, admit},
      {"empty", {.active = 0, .limit = 1, .when_full = refuses}, admit},
      {"one place left", {.active = 9, .limit = 10, .when_full = waits}, admit},
      {"one place left", {.active = 9, .limit = 10, .when_full = refuses}, admit},
      {"full", {.active = 10, .limit = 10, .when_full = waits}, wait},
      {"full", {.active = 10, .limit = 10, .when_full = refuses}, full},
      {"over", {.active = 11, .limit = 10, .when_full = waits}, wait},
      {"over", {.active = 11, .limit = 10, .when_full = refuses}, full},
      {"others see to it", {.active = 11, .limit = 0, .when_full = waits}, admit},
      {"nobody is exempt", {.active = 1, .limit = 1, .exempt = true, .when_full = refuses}, full},
  });
}

TEST(DecideAdmission, LimitOfOneSource) {
  expect_table({
      {"below", {.limit = 9, .source_active = 1, .source_limit = 2}, admit},
      {"at the limit", {.limit = 9, .source_active = 2, .source_limit = 2}, per_source},
      {"over it", {.limit = 9, .source_active = 3, .source_limit = 2}, per_source},
      {"off", {.limit = 9, .source_active = 3, .source_limit = 0}, admit},
      {"exempt", {.limit = 9, .source_active = 3, .source_limit = 2, .exempt = true}, admit},
      {"it is its own fault first, also when full",
       {.active = 9, .limit = 9, .source_active = 2, .source_limit = 2, .when_full = waits},
       per_source},
      {"and also when full is refused",
       {.active = 9, .limit = 9, .source_active = 2, .source_limit = 2, .when_full = refuses},
       per_source},
      {"and whatever the rate says",
       {.limit = 9, .source_active = 2, .source_limit = 2, .rate_allows = false},
       per_source},
      {"another source is not held up by it",
       {.limit = 9, .source_active = 0, .source_limit = 2},
       admit},
  });
}

TEST(DecideAdmission, Rate) {
  expect_table({
      {"too fast: pause", {.limit = 9, .rate_allows = false, .when_full = waits}, pause},
      {"too fast: refuse", {.limit = 9, .rate_allows = false, .when_full = refuses}, rate},
      {"exempt from refusal",
       {.limit = 9, .exempt = true, .rate_allows = false, .when_full = refuses},
       admit},
      {"full comes first",
       {.active = 9, .limit = 9, .rate_allows = false, .when_full = refuses},
       full},
      {"full comes first",
       {.active = 9, .limit = 9, .rate_allows = false, .when_full = waits},
       wait},
      {"a drain empties the queue as fast as it can",
       {.limit = 9, .rate_allows = false, .when_full = waits, .closing = Closing::draining},
       admit},
      {"a drain empties the queue as fast as it can",
       {.limit = 9, .rate_allows = false, .when_full = refuses, .closing = Closing::draining},
       admit},
  });
}

TEST(DecideAdmission, Closing) {
  expect_table({
      {"room", {.active = 8, .limit = 9, .closing = Closing::draining}, admit},
      {"room", {.active = 8, .limit = 9, .closing = Closing::last_call}, admit},
      {"the queue waits during a drain",
       {.active = 9, .limit = 9, .closing = Closing::draining},
       wait},
      {"and is told in the end",
       {.active = 9, .limit = 9, .closing = Closing::last_call},
       draining},
      {"refused is refused",
       {.active = 9, .limit = 9, .when_full = refuses, .closing = Closing::last_call},
       full},
  });
}

}  // namespace
}  // namespace forkecho::server
