#include "common/mp/error_text.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <system_error>

namespace forkecho::mp {
namespace {

struct OwnError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename Error>
ErrorText description_of(Error error) {
  try {
    throw error;
  } catch (...) {
    return describe_current_exception();
  }
}

TEST(ErrorText, IsTypeAndText) {
  const auto known = description_of(std::length_error("too long"));
  EXPECT_EQ(known.type, "std::length_error");
  EXPECT_EQ(known.text, "too long");
  EXPECT_EQ(to_string(known), "std::length_error: too long");
}

TEST(ErrorText, OfADerivedTypeIsTheTypeThrown) {
  EXPECT_NE(description_of(OwnError("x")).type.find("OwnError"), std::string::npos);
  EXPECT_EQ(description_of(OwnError("x")).text, "x");
}

TEST(ErrorText, OfWhatIsNoExceptionIsTheTypeAlone) {
  EXPECT_EQ(to_string(description_of(5)), "int");
  EXPECT_EQ(description_of(5).text, "");
}

}  // namespace
}  // namespace forkecho::mp
