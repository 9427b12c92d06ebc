#include "common/mp/error_text.h"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <typeinfo>

namespace forkecho::mp {
namespace {

std::string readable(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? name.get() : type.name();
}

std::string type_of_current_exception() {
  const std::type_info* const type = abi::__cxa_current_exception_type();
  return type == nullptr ? "an exception of unknown type" : readable(*type);
}

}  // namespace

ErrorText describe_current_exception() {
  try {
    throw;
  } catch (const std::exception& error) {
    return {type_of_current_exception(), error.what()};
  } catch (...) {
    return {type_of_current_exception(), ""};
  }
}

std::string to_string(const ErrorText& error) {
  return error.text.empty() ? error.type : error.type + ": " + error.text;
}

}  // namespace forkecho::mp
