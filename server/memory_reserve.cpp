#include "server/memory_reserve.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace forkecho::server {
namespace {

// A new-handler has no argument.
void* reserve = nullptr;
pid_t owner = 0;

void give_up_reserve() {
  if (reserve == nullptr || owner != getpid()) throw std::bad_alloc();
  munmap(reserve, MemoryReserve::bytes);
  reserve = nullptr;
}

}  // namespace

MemoryReserve::MemoryReserve() {
  owner = getpid();
  renew();
  std::set_new_handler(give_up_reserve);
}

MemoryReserve::~MemoryReserve() {
  std::set_new_handler(nullptr);
  if (is_held()) give_up_reserve();
}

bool MemoryReserve::is_held() const {
  return reserve != nullptr;
}

void MemoryReserve::renew() {
  if (is_held()) return;
  void* const got =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) return;
  // A mapping more would make every fork dearer.
  madvise(got, bytes, MADV_DONTFORK);
  reserve = got;
}

}  // namespace forkecho::server
