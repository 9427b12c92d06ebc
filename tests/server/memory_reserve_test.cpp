#include "server/memory_reserve.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <new>

#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

rlim_t address_space() {
  return std::stoul(tests::content_of("/proc/self/statm")) *
         static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

void limit_address_space(rlim_t bytes) {
  const rlimit limit{.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
  sys::check_syscall(setrlimit(RLIMIT_AS, &limit), "setrlimit");
}

class MemoryReserveTest : public testing::Test {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  void SetUp() override {
    GTEST_SKIP() << "the sanitizer's own allocator ends the process where there is no memory";
  }
#endif
};

/// Takes memory, for good, until `enough()`; false when there is no more.
template <typename Enough>
bool take_memory(Enough enough) {
  try {
    // The compiler may leave out an allocation that nobody uses.
    while (!enough()) *static_cast<volatile char*>(new char[1 << 20]) = 1;
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

TEST_F(MemoryReserveTest, HelpsOnceAndIsRenewedWhenThereIsMemoryAgain) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              MemoryReserve reserve;
              if (!reserve.is_held()) return 1;
              limit_address_space(address_space());
              if (!take_memory([&] { return !reserve.is_held(); })) return 2;
              if (take_memory([] { return false; })) return 3;
              reserve.renew();
              if (reserve.is_held()) return 4;
              limit_address_space(RLIM_INFINITY);
              reserve.renew();
              return reserve.is_held() ? 0 : 5;
            }),
            0);
}

TEST_F(MemoryReserveTest, IsNotItsChildrens) {
  const MemoryReserve reserve;
  const rlim_t ours = address_space();
  EXPECT_EQ(tests::exitcode_in_child([ours] {
              if (address_space() + MemoryReserve::bytes > ours) return 1;
              limit_address_space(address_space());
              return take_memory([] { return false; }) ? 2 : 0;
            }),
            0);
  EXPECT_TRUE(reserve.is_held());
}

}  // namespace
}  // namespace forkecho::server
