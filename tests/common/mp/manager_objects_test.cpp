#include "common/mp/manager_objects.h"

#include <gtest/gtest.h>

#include "common/mp/robust_mutex.h"
#include "tests/common/mp/managed_calls.h"

namespace forkecho::mp::managed {
namespace {

using sys::Clock;
using sys::Deadline;

const Clock::time_point start{std::chrono::hours(1)};
Deadline after(int seconds) {
  return Deadline::at(start + std::chrono::seconds(seconds));
}

struct TheObjects : testing::Test {
  template <typename Op, typename Fill>
  void apply(ClientId from, ObjectId object, Kind kind, Op op, Fill fill,
             Deadline deadline = Deadline::never(), Clock::time_point now = start) {
    Encoder packet;
    packet.put(RequestHeader{object, kind, static_cast<std::uint32_t>(op), to_wire(deadline)});
    fill(packet);
    objects.apply(from, packet.view(), now, answers);
  }
  ObjectId create(Kind kind, std::uint64_t type = 0, const std::string& name = {}) {
    ask_for(kind, type, name);
    return decode<ObjectId>(*tests::take_answer(answers, 1));
  }
  void ask_for(Kind kind, std::uint64_t type, const std::string& name) {
    apply(1, the_manager, Kind::manager, ManagerOp::create, [&](Encoder& to) {
      to.put(kind);
      to.put(type);
      to.put(name);
      to.put<std::uint64_t>(1);  // the capacity of a queue
    });
  }
  void remove(ObjectId id) {
    apply(1, the_manager, Kind::manager, ManagerOp::remove, [&](Encoder& to) { to.put(id); });
  }
  void acquire(ClientId from, ObjectId lock, Deadline deadline = Deadline::never(),
               Clock::time_point now = start) {
    apply(
        from, lock, Kind::lock, LockOp::acquire, [](Encoder&) {}, deadline, now);
  }
  std::optional<Acquired> acquired(ClientId client) {
    const auto results = tests::take_answer(answers, client);
    return results ? std::optional(decode<Acquired>(*results)) : std::nullopt;
  }
  /// The error that `client` was answered.
  std::optional<ErrorKind> error(ClientId client) {
    for (auto& answer : answers.all()) {
      if (answer.to != client) continue;
      Decoder decoder(answer.packet.view());
      if (decoder.get<Status>() == Status::error) return decoder.get<ErrorKind>();
    }
    return std::nullopt;
  }
  ManagerObjects objects;
  Answers answers;
};

TEST_F(TheObjects, HaveNumbersOfTheirOwn) {
  EXPECT_NE(create(Kind::dict), create(Kind::dict));
}

TEST_F(TheObjects, OfOneNameAreOne) {
  const ObjectId id = create(Kind::dict, 7, "ages");
  EXPECT_EQ(create(Kind::dict, 7, "ages"), id);
  EXPECT_NE(create(Kind::dict, 7, "names"), id);
  remove(id);
  answers.all().clear();
  EXPECT_NE(create(Kind::dict, 7, "ages"), id);
}

TEST_F(TheObjects, AskedForByNameAsAnotherTypeAreALogicError) {
  create(Kind::dict, 7, "ages");
  ask_for(Kind::dict, 8, "ages");
  EXPECT_EQ(error(1), ErrorKind::logic_error);
  answers.all().clear();
  ask_for(Kind::list, 7, "ages");
  EXPECT_EQ(error(1), ErrorKind::logic_error);
}

TEST_F(TheObjects, AnErrorIsAnsweredWithItsType) {
  const ObjectId list = create(Kind::list);
  apply(1, list, Kind::list, ListOp::get, [](Encoder& to) { to.put<std::int64_t>(0); });
  EXPECT_EQ(answers.count(), 1u);
  EXPECT_EQ(error(1), ErrorKind::out_of_range);
}

TEST_F(TheObjects, ParkedRequestsAreAnsweredAtTheirDeadlinesEarliestFirst) {
  const ObjectId lock = create(Kind::lock);
  acquire(1, lock);
  acquired(1);
  acquire(2, lock, after(20));
  acquire(3, lock, after(10));
  acquire(4, lock);
  EXPECT_EQ(objects.next_deadline().when(), after(10).when());
  objects.expire(start + std::chrono::seconds(10), answers);
  EXPECT_EQ(answers.count(), 1u);
  EXPECT_EQ(acquired(3), Acquired::timed_out);
  EXPECT_EQ(objects.next_deadline().when(), after(20).when());
  objects.expire(start + std::chrono::hours(9), answers);
  EXPECT_EQ(acquired(2), Acquired::timed_out);
  EXPECT_EQ(acquired(4), std::nullopt);
  EXPECT_TRUE(objects.next_deadline().is_never());
}

TEST_F(TheObjects, ADeadlineThatHasPassedIsALook) {
  const ObjectId lock = create(Kind::lock);
  acquire(1, lock, Deadline::immediately());
  EXPECT_EQ(acquired(1), Acquired::yes);
  acquire(2, lock, Deadline::immediately());
  EXPECT_EQ(acquired(2), Acquired::timed_out);
}

TEST_F(TheObjects, WhoWasAnsweredInTimeHasNoDeadlineAnyMore) {
  const ObjectId lock = create(Kind::lock);
  acquire(1, lock);
  acquire(2, lock, after(10));
  objects.forget(1, answers);
  acquired(1);
  EXPECT_EQ(acquired(2), Acquired::owner_died);
  EXPECT_TRUE(objects.next_deadline().is_never());
  objects.expire(start + std::chrono::hours(9), answers);
  EXPECT_EQ(answers.count(), 0u);
}

TEST_F(TheObjects, AVanishedClientsParkedRequestIsForgotten) {
  const ObjectId lock = create(Kind::lock);
  acquire(1, lock);
  acquire(2, lock, after(10));
  objects.forget(2, answers);
  EXPECT_TRUE(objects.next_deadline().is_never());
}

TEST_F(TheObjects, ASecondRequestWhileOneIsParkedIsGarbage) {
  const ObjectId lock = create(Kind::lock);
  acquire(1, lock);
  acquire(2, lock);
  EXPECT_THROW(acquire(2, lock), DecodeError);
}

TEST_F(TheObjects, RemovedAreAnErrorForThoseWhoWaitAndThoseWhoCome) {
  const ObjectId lock = create(Kind::lock);
  acquire(5, lock);
  acquire(2, lock, after(10));
  remove(lock);
  EXPECT_EQ(error(2), ErrorKind::logic_error);
  EXPECT_TRUE(objects.next_deadline().is_never());
  acquire(3, lock);
  EXPECT_EQ(error(3), ErrorKind::logic_error);
  remove(lock);
  EXPECT_EQ(error(1), ErrorKind::logic_error);
}

TEST_F(TheObjects, AnAcknowledgementForARemovedQueueIsSilent) {
  const ObjectId queue = create(Kind::queue);
  remove(queue);
  answers.all().clear();
  apply(1, queue, Kind::queue, QueueOp::taken, [](Encoder&) {});
  EXPECT_EQ(answers.count(), 0u);
}

TEST_F(TheObjects, GarbageIsADecodeErrorAndAnswersNobody) {
  const ObjectId dict = create(Kind::dict);
  const auto nothing = [](Encoder&) {};
  EXPECT_THROW(objects.apply(1, {}, start, answers), DecodeError);
  EXPECT_THROW(apply(1, dict, Kind::list, ListOp::size, nothing), DecodeError);
  EXPECT_THROW(apply(1, dict, Kind::dict, DictOp::set, nothing), DecodeError);
  EXPECT_THROW(apply(1, the_manager, Kind::manager, static_cast<ManagerOp>(77), nothing),
               DecodeError);
  EXPECT_THROW(apply(1, the_manager, Kind::manager, ManagerOp::create,
                     [](Encoder& to) {
                       to.put(static_cast<Kind>(99));
                       to.put<std::uint64_t>(0);
                       to.put(std::string());
                     }),
               DecodeError);
  EXPECT_EQ(answers.count(), 0u);
}

}  // namespace
}  // namespace forkecho::mp::managed
