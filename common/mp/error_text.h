// What an exception says of itself, in words that may cross to another process.
#pragma once

#include <string>

namespace forkecho::mp {

struct ErrorText {
  std::string type;  // as C++ writes it: "std::runtime_error"
  std::string text;  // what(); empty for a type that is no std::exception
};

/// Of the exception that is being handled; to be called in a catch block.
ErrorText describe_current_exception();

/// "std::runtime_error: the reason", or the type alone.
std::string to_string(const ErrorText& error);

}  // namespace forkecho::mp
