#include "common/mp/remote_error.h"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <typeinfo>
#include <utility>

namespace forkecho::mp {
namespace {

std::string name_of(const std::type_info* type) {
  if (type == nullptr) return "unknown";
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), std::free);
  return status == 0 ? name.get() : type->name();
}

/// Whoever throws may have no text.
std::string text_or_nothing(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

std::string text_of_current_exception() {
  try {
    throw;
  } catch (const std::exception& error) {
    return text_or_nothing(error.what());
  } catch (const std::string& text) {
    return text;
  } catch (const char* text) {
    return text_or_nothing(text);
  } catch (...) {
    return {};
  }
}

}  // namespace

RemoteError::RemoteError(std::string type, std::string text)
    : std::runtime_error(text.empty() ? type : type + ": " + text),
      type_(std::move(type)),
      text_(std::move(text)) {}

RemoteError RemoteError::of_current_exception() {
  return {name_of(abi::__cxa_current_exception_type()), text_of_current_exception()};
}

void RemoteError::encode(Encoder& to) const {
  to.put(type_);
  to.put(text_);
}

RemoteError RemoteError::decode(Decoder& from) {
  auto type = from.get<std::string>();
  return {std::move(type), from.get<std::string>()};
}

}  // namespace forkecho::mp
