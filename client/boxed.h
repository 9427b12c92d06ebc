// Boxed<T>: a T with the copy semantics of a value that lives on the heap, for objects too big for
// a stack. Never empty, but for one moved from, which may only be assigned to or destroyed.
#pragma once

#include <memory>

namespace forkecho::client {

template <typename T>
class Boxed {
 public:
  /// Value-initialised.
  Boxed() : value_(std::make_unique<T>()) {}
  explicit Boxed(const T& value) : value_(std::make_unique<T>(value)) {}
  Boxed(const Boxed& other) : Boxed(*other) {}
  Boxed(Boxed&&) noexcept = default;
  Boxed& operator=(const Boxed& other) {
    if (this != &other) value_ = std::make_unique<T>(*other);
    return *this;
  }
  Boxed& operator=(Boxed&&) noexcept = default;
  ~Boxed() = default;

  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace forkecho::client
