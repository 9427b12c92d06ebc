#include "server/memory_reserve.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <memory>
#include <new>
#include <vector>

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

bool can_allocate(std::size_t bytes) {
  try {
    const std::unique_ptr<char[]> block(new char[bytes]);
    return block != nullptr;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

TEST(MemoryReserve, HelpsOnceAndIsRenewedWhenThereIsMemoryAgain) {
  EXPECT_EQ(tests::exitcode_in_child([] {
              MemoryReserve reserve;
              if (!reserve.is_held()) return 1;
              limit_address_space(address_space());
              const std::unique_ptr<char[]> first(new char[MemoryReserve::bytes / 2]);
              if (reserve.is_held()) return 2;
              reserve.renew();
              if (reserve.is_held()) return 3;
              if (can_allocate(MemoryReserve::bytes)) return 4;
              limit_address_space(RLIM_INFINITY);
              reserve.renew();
              return reserve.is_held() ? 0 : 5;
            }),
            0);
}

TEST(MemoryReserve, IsNotItsChildrens) {
  const MemoryReserve reserve;
  EXPECT_EQ(tests::exitcode_in_child([] {
              limit_address_space(address_space());
              return can_allocate(MemoryReserve::bytes) ? 1 : 0;
            }),
            0);
  EXPECT_TRUE(reserve.is_held());
}

}  // namespace
}  // namespace forkecho::server
