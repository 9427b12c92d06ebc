// Published<T>: a value that one process publishes now and then in shared memory and others read at
// any moment, whole, without a lock: a sequence lock over two copies. The writer fills the copy
// that nobody is told to read, and then says so; a reader that was overtaken twice looks again. So
// a writer that is stopped or killed in the middle leaves the value before.
//
// One writer, readers in any number of processes; a reader needs no write access.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace forkecho::server {

template <typename T>
requires std::is_trivially_copyable_v<T>
class Published {
 public:
  void publish(const T& value) {
    const std::uint64_t next = sequence_.load(std::memory_order_relaxed) + 1;
    // A reader who sees a word of what follows also sees that the copy is out of date.
    std::atomic_thread_fence(std::memory_order_release);
    store(copies_[next % 2], value);
    sequence_.store(next, std::memory_order_release);
  }

  /// The value published last; a zeroed T before the first.
  T read() const {
    for (;;) {
      const std::uint64_t before = sequence_.load(std::memory_order_acquire);
      const T value = load(copies_[before % 2]);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (sequence_.load(std::memory_order_relaxed) == before) return value;
    }
  }

 private:
  // Word by word: a value that is written while it is read must be made of atomics (the C++
  // memory model; H.-J. Boehm, "Can seqlocks get along with programming language memory models?",
  // 2012).
  using Word = std::uint64_t;
  static constexpr std::size_t words = (sizeof(T) + sizeof(Word) - 1) / sizeof(Word);
  using Copy = std::array<std::atomic<Word>, words>;

  static std::size_t bytes_in_word(std::size_t word) {
    return word + 1 < words ? sizeof(Word) : sizeof(T) - word * sizeof(Word);
  }
  static void store(Copy& copy, const T& value) {
    const auto* from = reinterpret_cast<const char*>(&value);
    for (std::size_t i = 0; i < words; ++i) {
      Word word = 0;
      std::memcpy(&word, from + i * sizeof word, bytes_in_word(i));
      copy[i].store(word, std::memory_order_relaxed);
    }
  }
  static T load(const Copy& copy) {
    T value;
    auto* to = reinterpret_cast<char*>(&value);
    for (std::size_t i = 0; i < words; ++i) {
      const Word word = copy[i].load(std::memory_order_relaxed);
      std::memcpy(to + i * sizeof word, &word, bytes_in_word(i));
    }
    return value;
  }

  std::atomic<std::uint64_t> sequence_{0};
  std::array<Copy, 2> copies_{};
};

}  // namespace forkecho::server
