// Calls on the state of a Manager's objects, without a manager: what a client would send, and what
// it would be answered.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "common/mp/codec.h"
#include "common/mp/managed_object.h"

namespace forkecho::tests {

inline mp::BytesView view_of(const std::string& text) {
  return mp::managed::to_view(text);
}

/// Applies an operation with the arguments that `fill` puts.
template <typename Op, typename Fill>
mp::managed::Outcome apply(mp::managed::ManagedObject& object, mp::managed::Answers& answers,
                           mp::managed::ClientId from, Op op, Fill fill) {
  mp::Encoder arguments;
  fill(arguments);
  mp::Decoder decoder(arguments.view());
  return object.apply({from, static_cast<std::uint32_t>(op), decoder}, answers);
}

/// Takes the first answer to `client` out; its results. Empty when there is none. An error is told
/// as a failure of the test.
inline std::optional<mp::Bytes> take_answer(mp::managed::Answers& answers,
                                            mp::managed::ClientId client) {
  auto& all = answers.all();
  for (auto answer = all.begin(); answer != all.end(); ++answer) {
    if (answer->to != client) continue;
    const mp::Bytes packet = answer->packet.take();
    all.erase(answer);
    mp::Decoder decoder(packet);
    EXPECT_EQ(decoder.get<mp::managed::Status>(), mp::managed::Status::ok);
    const auto rest = decoder.raw(decoder.left());
    return mp::Bytes(rest.begin(), rest.end());
  }
  return std::nullopt;
}

/// Applies an operation that is answered at once; the first result, of type T.
template <typename T, typename Op, typename Fill>
T ask(mp::managed::ManagedObject& object, Op op, Fill fill, mp::managed::ClientId from = 1) {
  mp::managed::Answers answers;
  EXPECT_EQ(apply(object, answers, from, op, fill), mp::managed::Outcome::done);
  const auto results = take_answer(answers, from);
  if (!results) throw std::runtime_error("the object did not answer");
  mp::Decoder decoder(*results);
  return decoder.get<T>();
}

/// The same for an operation without results.
template <typename Op, typename Fill>
void tell(mp::managed::ManagedObject& object, Op op, Fill fill, mp::managed::ClientId from = 1) {
  mp::managed::Answers answers;
  EXPECT_EQ(apply(object, answers, from, op, fill), mp::managed::Outcome::done);
  EXPECT_TRUE(take_answer(answers, from).has_value());
}

}  // namespace forkecho::tests
