// The main of every test program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/sys/process_title.h"
#include "tests/support/leak_check.h"

int main(int argc, char** argv) {
  forkecho::sys::remember_title_room(argc, argv);
  testing::InitGoogleMock(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new forkecho::tests::LeakCheck);
  return RUN_ALL_TESTS();
}
