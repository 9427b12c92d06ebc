// RemoteError: an exception that was thrown in another process, as it is thrown again in this one.
// The exception itself cannot cross: its type is known only where it was thrown. Its type's name
// and its text can.
//
// Thrown by Pool's results (async_result.h) for what a task threw. A value; safe everywhere.
#pragma once

#include <stdexcept>
#include <string>

#include "common/mp/codec.h"

namespace forkecho::mp {

class RemoteError : public std::runtime_error {
 public:
  RemoteError(std::string type, std::string text);
  /// Of the exception that is being handled; to be called in a catch clause. One that is no
  /// std::exception has no text, nor has one whose text is a null pointer.
  static RemoteError of_current_exception();

  /// The exception's type as one writes it: "std::out_of_range".
  const std::string& type() const { return type_; }
  /// What its what() said.
  const std::string& text() const { return text_; }

  void encode(Encoder& to) const;
  static RemoteError decode(Decoder& from);

 private:
  std::string type_;
  std::string text_;
};

}  // namespace forkecho::mp
