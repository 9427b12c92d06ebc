// MemoryReserve: memory that the supervisor keeps for the day when the system gives no more. With
// it the supervisor answers its status and leads the daemon on, however short memory is.
//
// It is address space that nobody touches until then, and that children do not inherit. The first
// allocation that fails gives it back to the system and is tried again (std::set_new_handler);
// renew() takes it again when it can be had. One per process; not for threads.
#pragma once

#include <cstddef>

namespace forkecho::server {

class MemoryReserve {
 public:
  /// Enough for a status page with all its slots, several times.
  static constexpr std::size_t bytes = 8 << 20;

  MemoryReserve();
  MemoryReserve(const MemoryReserve&) = delete;
  MemoryReserve& operator=(const MemoryReserve&) = delete;
  ~MemoryReserve();

  bool is_held() const;
  /// After it was given up: takes it again if the system has it. Call now and then.
  void renew();
};

}  // namespace forkecho::server
