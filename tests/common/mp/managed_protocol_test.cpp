#include "common/mp/managed_protocol.h"

#include <gtest/gtest.h>

namespace forkecho::mp::managed {
namespace {

TEST(ManagedProtocol, DeadlinesCross) {
  const auto some = sys::Deadline::after(std::chrono::seconds(3));
  EXPECT_EQ(deadline_from_wire(to_wire(some)).when(), some.when());
  EXPECT_TRUE(deadline_from_wire(to_wire(sys::Deadline::never())).is_never());
  EXPECT_TRUE(deadline_from_wire(to_wire(sys::Deadline::immediately())).passed());
}

TEST(ManagedProtocol, BlobsCrossWithTheirLengths) {
  Encoder encoder;
  put_blob(encoder, std::string_view("one"));
  put_blob(encoder, std::string_view());
  put_blob(encoder, to_view("two\0!"));
  Decoder decoder(encoder.view());
  EXPECT_EQ(to_blob(get_blob(decoder)), "one");
  EXPECT_EQ(to_blob(get_blob(decoder)), "");
  EXPECT_EQ(to_blob(get_blob(decoder)), "two");
  EXPECT_THROW(get_blob(decoder), DecodeError);
}

}  // namespace
}  // namespace forkecho::mp::managed
