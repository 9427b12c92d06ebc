// SharedMemory: an anonymous mapping that a process shares with the children that it forks
// afterwards. What Value, Array and their raw forms stand on.
//
// The mapping has no name in any file system: it ends with the last process that has it, also after
// kill -9. The object itself belongs to one process; each has its own after a fork.
#pragma once

#include <cstddef>

namespace forkecho::mp {

class SharedMemory {
 public:
  /// Zero-filled, page-aligned. Throws std::system_error (ENOMEM).
  explicit SharedMemory(std::size_t bytes);
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory();

  void* data() const { return data_; }
  std::size_t size() const { return bytes_; }

  /// Children forked from now on have no mapping here: what they do cannot reach it
  /// (MADV_DONTFORK).
  void keep_from_children();
  /// Children forked from now on have it again.
  void give_to_children();
  /// The calling process can no longer write to [offset, offset + bytes), page-aligned; others can.
  void make_read_only(std::size_t offset, std::size_t bytes);

 private:
  void* data_;
  std::size_t bytes_;
};

/// The size of a page of memory in bytes.
std::size_t page_size();

}  // namespace forkecho::mp
