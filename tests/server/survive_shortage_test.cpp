#include "server/survive_shortage.h"

#include <gtest/gtest.h>

namespace forkecho::server {
namespace {

std::system_error error_of(int number) {
  return {number, std::generic_category(), "a deed"};
}

TEST(SurviveShortage, WhatIsDoneIsDone) {
  SurviveShortage survive;
  bool done = false;
  survive([&] { done = true; });
  EXPECT_TRUE(done);
}

TEST(SurviveShortage, OfMemoryDescriptorsAndProcessesItGoesOn) {
  SurviveShortage survive;
  EXPECT_NO_THROW(survive([] { throw std::bad_alloc(); }));
  for (const int number : {ENOMEM, EMFILE, EAGAIN})
    EXPECT_NO_THROW(survive([number] { throw error_of(number); })) << number;
}

TEST(SurviveShortage, AnyOtherErrorIsThrown) {
  SurviveShortage survive;
  EXPECT_THROW(survive([] { throw error_of(EBADF); }), std::system_error);
  EXPECT_THROW(survive([] { throw std::logic_error("a bug"); }), std::logic_error);
}

TEST(SurviveShortage, TheReserveIsTakenAgain) {
  SurviveShortage survive;
  // As operator new gives it up where the system has no memory.
  const auto give_up = [] { std::get_new_handler()(); };
  survive(give_up);
  EXPECT_NO_THROW(give_up()) << "there is something to give up again";
  EXPECT_THROW(give_up(), std::bad_alloc);
}

}  // namespace
}  // namespace forkecho::server
