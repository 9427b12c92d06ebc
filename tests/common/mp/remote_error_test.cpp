#include "common/mp/remote_error.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace forkecho::mp {
namespace {

template <typename Exception>
RemoteError caught(Exception exception) {
  try {
    throw exception;
  } catch (...) {
    return RemoteError::of_current_exception();
  }
}

struct Odd {};

struct Wordless : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

TEST(RemoteError, HasTheTypeAndTheTextOfTheException) {
  const RemoteError error = caught(std::out_of_range("index 7"));
  EXPECT_EQ(error.type(), "std::out_of_range");
  EXPECT_EQ(error.text(), "index 7");
  EXPECT_STREQ(error.what(), "std::out_of_range: index 7");
}

TEST(RemoteError, KnowsWhatIsNoStandardException) {
  EXPECT_EQ(caught(5).type(), "int");
  EXPECT_STREQ(caught(5).what(), "int");
  EXPECT_EQ(caught("text").text(), "text");
  EXPECT_EQ(caught(std::string("text")).text(), "text");
  EXPECT_NE(caught(Odd{}).type().find("Odd"), std::string::npos);
}

TEST(RemoteError, ANullTextIsNoText) {
  EXPECT_EQ(caught(static_cast<const char*>(nullptr)).text(), "");
  EXPECT_EQ(caught(Wordless()).text(), "");
  EXPECT_NE(caught(Wordless()).type().find("Wordless"), std::string::npos);
}

TEST(RemoteError, Crosses) {
  static_assert(Crosses<RemoteError>);
  const RemoteError error("a::b", "text");
  const RemoteError copy =
      with_encoded(error, [](BytesView bytes) { return decode<RemoteError>(bytes); });
  EXPECT_EQ(copy.type(), "a::b");
  EXPECT_EQ(copy.text(), "text");
  EXPECT_STREQ(copy.what(), error.what());
}

}  // namespace
}  // namespace forkecho::mp
