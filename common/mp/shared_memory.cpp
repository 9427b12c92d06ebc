#include "common/mp/shared_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "common/sys/check_syscall.h"

extern "C" char _end;  // NOLINT: the linker's name for the end of the program's data (end(3))

namespace forkecho::mp {

namespace {

/// mmap refuses an empty mapping; an empty array is none the less an array.
std::size_t mapped(std::size_t bytes) {
  return std::max<std::size_t>(bytes, 1);
}

void* map(std::uintptr_t place, std::size_t bytes, int flags) {
  return mmap(reinterpret_cast<void*>(place), bytes, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_ANONYMOUS | flags, -1, 0);
}

/// Behind the program's own data, where a child that writes to the mapping finds the page tables
/// that it has anyway; elsewhere it would need up to three more pages of them. The room there is
/// gone through again and again, past what is taken, so that a program that makes and gives back
/// memory for years still finds its place. Elsewhere when there is no room.
void* map_near_program(std::size_t bytes) {
  constexpr std::uintptr_t near = std::uintptr_t{64} << 20;
  constexpr int tries = 64;
  const std::uintptr_t page = page_size();
  const auto first = (reinterpret_cast<std::uintptr_t>(&_end) + page - 1) / page * page;
  const std::uintptr_t room = (bytes + page - 1) / page * page;
  static std::uintptr_t next = first;
  for (int i = 0; i < tries && room <= near; ++i) {
    const std::uintptr_t place = next + room > first + near ? first : next;
    next = place + room;
    void* mapping = map(place, bytes, MAP_FIXED_NOREPLACE);
    if (mapping != MAP_FAILED || errno != EEXIST) return mapping;
  }
  return map(0, bytes, 0);
}

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes)
    : data_(map_near_program(mapped(bytes))), bytes_(bytes) {
  if (data_ == MAP_FAILED)
    sys::throw_errno(errno, "mmap of " + std::to_string(bytes) + " shared bytes");
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) munmap(data_, mapped(bytes_));
}

void SharedMemory::keep_from_children() {
  sys::check_syscall(madvise(data_, bytes_, MADV_DONTFORK), "madvise(MADV_DONTFORK)");
}

void SharedMemory::make_read_only(std::size_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  sys::check_syscall(mprotect(static_cast<std::byte*>(data_) + offset, bytes, PROT_READ),
                     "mprotect");
}

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace forkecho::mp
