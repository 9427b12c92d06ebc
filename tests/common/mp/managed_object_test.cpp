#include "common/mp/managed_object.h"

#include <gtest/gtest.h>

namespace forkecho::mp::managed {
namespace {

TEST(Answers, RetractTakesBackTheLaterAnswersToOneClient) {
  Answers answers;
  answers.ok(1);
  answers.ok(2);
  answers.ok(1);
  answers.ok(3);
  answers.retract(1, 1);
  std::vector<ClientId> to;
  for (const auto& answer : answers.all()) to.push_back(answer.to);
  EXPECT_EQ(to, (std::vector<ClientId>{1, 2, 3}));
}

TEST(Answers, AnErrorCarriesItsKindAndItsText) {
  Answers answers;
  answers.error(7, ErrorKind::out_of_range, "text");
  const Bytes packet = answers.all().front().packet.take();
  Decoder decoder(packet);
  EXPECT_EQ(decoder.get<Status>(), Status::error);
  EXPECT_EQ(decoder.get<ErrorKind>(), ErrorKind::out_of_range);
  EXPECT_EQ(decoder.get<std::string>(), "text");
  EXPECT_EQ(decoder.left(), 0u);
}

}  // namespace
}  // namespace forkecho::mp::managed
