#include "common/mp/pool_worker.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "common/mp/raw_shared.h"
#include "common/mp/task.h"
#include "tests/support/child.h"

namespace forkecho::mp::detail {
namespace {

TEST(WorkerSlot, OneOfTheTwoHasTheTask) {
  RawValue<WorkerSlot> slot;
  slot->offer(7);
  EXPECT_FALSE(slot->begun(7));
  EXPECT_TRUE(slot->begin(7));
  EXPECT_FALSE(slot->recall(7));
  EXPECT_TRUE(slot->begun(7));

  slot->offer(8);
  EXPECT_TRUE(slot->recall(8));
  EXPECT_FALSE(slot->begin(8));
  EXPECT_FALSE(slot->begun(8));
}

TEST(WorkerSlot, TheWordsOfAWorkersTasksDoNotMeet) {
  RawValue<WorkerSlot> slot;
  for (const std::uint64_t ticket : {1, 2, 3}) slot->offer(ticket);
  EXPECT_TRUE(slot->begin(1));
  EXPECT_TRUE(slot->recall(2));
  EXPECT_TRUE(slot->begin(3));
  EXPECT_FALSE(slot->begun(5)) << "the word of ticket 1";
}

TEST(WorkerSlot, BeginsAsNewborn) {
  RawValue<WorkerSlot> slot;
  EXPECT_EQ(slot->stage(), WorkerSlot::Stage::newborn);
  slot->set_stage(WorkerSlot::Stage::ready);
  EXPECT_EQ(slot->stage(), WorkerSlot::Stage::ready);
  slot->reset();
  EXPECT_EQ(slot->stage(), WorkerSlot::Stage::newborn);
}

/// A worker in a child of its own, and the maker's side of it.
class Served : public testing::Test {
 protected:
  void start(const std::function<void()>& initializer = {}, unsigned tasks = 0) {
    child_ = tests::start_child([&] {
      pipe_.first.close();
      return serve_pool({.connection = &pipe_.second,
                         .slot = &*slot_,
                         .initializer = &initializer,
                         .tasks = tasks});
    });
    pipe_.second.close();
  }
  void offer(std::uint64_t ticket, int argument, std::size_t least_size = 0) {
    const auto function = [](int n) {
      if (n < 0) throw std::range_error("negative");
      return 2 * n;
    };
    using CallType = Call<decltype(function), int>;
    TaskWriter<std::remove_const_t<decltype(function)>, CallType> writer(function);
    writer.add({argument});
    Bytes message = writer.take();
    message.resize(std::max(message.size(), least_size));
    std::memcpy(message.data(), &ticket, sizeof ticket);
    slot_->offer(ticket);
    pipe_.first.send_bytes(message);
  }
  /// The ticket and the value of the next answer.
  std::pair<std::uint64_t, int> answer() {
    const auto message = pipe_.first.recv_bytes();
    Decoder from(message.value());
    const auto [ticket, not_received] = from.get<AnswerHeader>();
    if (ticket == 0 || not_received != 0) throw from.get<RemoteError>();
    auto value = decode_answer<int>(from);
    if (value.index() == 1) std::rethrow_exception(std::get<1>(value));
    return {ticket, std::get<0>(value)};
  }

  RawValue<WorkerSlot> slot_;
  Pipe pipe_;
  pid_t child_ = 0;
};

TEST_F(Served, AnswersUntilTheMakerIsGone) {
  start();
  offer(1, 5);
  EXPECT_EQ(answer(), std::pair(std::uint64_t{1}, 10));
  EXPECT_EQ(slot_->stage(), WorkerSlot::Stage::serving);
  EXPECT_TRUE(slot_->begun(1));
  offer(2, -1);
  EXPECT_THROW(answer(), RemoteError);
  pipe_.first.close();
  EXPECT_EQ(tests::exitcode_of(child_), 0);
}

TEST_F(Served, LeavesWhenToldTo) {
  start();
  pipe_.first.send(TaskHeader{});
  EXPECT_EQ(tests::exitcode_of(child_), 0);
}

TEST_F(Served, LeavesAfterItsNumberOfTasks) {
  start({}, 2);
  offer(1, 1);
  offer(2, 2);
  EXPECT_EQ(answer().second, 2);
  EXPECT_EQ(answer().second, 4);
  EXPECT_EQ(tests::exitcode_of(child_), 0);
}

TEST_F(Served, SkipsWhatWasRecalled) {
  const Pipe gate;
  start([&] {
    if (!gate.second.poll(tests::patience())) throw std::runtime_error("the gate stayed shut");
  });
  offer(1, 1);
  offer(2, 2);
  EXPECT_TRUE(slot_->recall(1));
  const_cast<Connection&>(gate.first).send(0);
  EXPECT_EQ(answer(), std::pair(std::uint64_t{2}, 4));
  pipe_.first.close();
  EXPECT_EQ(tests::exitcode_of(child_), 0);
}

TEST_F(Served, WhatItCannotReceiveIsTheErrorOfThatTask) {
  start([] {
    const rlimit none{3, 3};
    if (setrlimit(RLIMIT_NOFILE, &none) != 0) throw std::runtime_error("setrlimit");
  });
  constexpr std::size_t large = 100'000;  // a descriptor must be received with it
  offer(1, 1, large);
  EXPECT_THROW(answer(), RemoteError);
  offer(2, 2);
  EXPECT_EQ(answer(), std::pair(std::uint64_t{2}, 4));
  offer(3, 3, large);
  EXPECT_THROW(answer(), RemoteError);
  pipe_.first.close();
  EXPECT_EQ(tests::exitcode_of(child_), 0);
}

TEST_F(Served, WhatItCannotReceiveAndWasRecalledIsNotAnswered) {
  const Pipe gate;
  start([&] {
    const rlimit none{3, 3};
    if (setrlimit(RLIMIT_NOFILE, &none) != 0) throw std::runtime_error("setrlimit");
    if (!gate.second.poll(tests::patience())) throw std::runtime_error("the gate stayed shut");
  });
  offer(1, 1, 100'000);
  EXPECT_TRUE(slot_->recall(1));
  offer(2, 2);
  const_cast<Connection&>(gate.first).send(0);
  EXPECT_EQ(answer(), std::pair(std::uint64_t{2}, 4));
  pipe_.first.close();
  EXPECT_EQ(tests::exitcode_of(child_), 0);
}

TEST_F(Served, AnInitializerThatThrowsIsTold) {
  start([] { throw std::logic_error("no database"); });
  try {
    answer();
    ADD_FAILURE() << "expected the initializer's error";
  } catch (const RemoteError& error) {
    EXPECT_EQ(error.text(), "no database");
  }
  EXPECT_EQ(tests::exitcode_of(child_), 1);
  EXPECT_EQ(slot_->stage(), WorkerSlot::Stage::initialising);
}

}  // namespace
}  // namespace forkecho::mp::detail
