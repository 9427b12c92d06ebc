// The way from libFuzzer's main to a target.
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  forkecho::fuzz::fuzz({reinterpret_cast<const char*>(data), size});
  return 0;
}
