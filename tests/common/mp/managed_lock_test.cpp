#include "common/mp/managed_lock.h"

#include <gtest/gtest.h>

#include "common/mp/robust_mutex.h"
#include "tests/common/mp/managed_calls.h"

namespace forkecho::mp::managed {
namespace {

struct ALock : testing::Test {
  explicit ALock(Recursive recursive = Recursive::no) : lock(recursive) {}
  Outcome acquire(ClientId client) {
    return tests::apply(lock, answers, client, LockOp::acquire, [](Encoder&) {});
  }
  void release(ClientId client) {
    tests::apply(lock, answers, client, LockOp::release, [](Encoder&) {});
    EXPECT_TRUE(tests::take_answer(answers, client).has_value());
  }
  /// What `client` was answered to acquire; empty: nothing yet.
  std::optional<Acquired> acquired(ClientId client) {
    const auto results = tests::take_answer(answers, client);
    return results ? std::optional(decode<Acquired>(*results)) : std::nullopt;
  }
  ManagedLock lock;
  Answers answers;
};

struct AnRLock : ALock {
  AnRLock() : ALock(Recursive::yes) {}
};

TEST_F(ALock, IsPassedOnInTheOrderInWhichTheyWait) {
  EXPECT_EQ(acquire(1), Outcome::done);
  EXPECT_EQ(acquired(1), Acquired::yes);
  EXPECT_EQ(acquire(2), Outcome::parked);
  EXPECT_EQ(acquire(3), Outcome::parked);
  release(1);
  EXPECT_EQ(acquired(2), Acquired::yes);
  EXPECT_EQ(acquired(3), std::nullopt);
  release(2);
  EXPECT_EQ(acquired(3), Acquired::yes);
}

TEST_F(ALock, OfAVanishedHolderGoesToTheNextWhoIsToldOnce) {
  acquire(1);
  acquire(2);
  lock.forget(1, answers);
  EXPECT_EQ(acquired(2), Acquired::owner_died);
  release(2);
  acquire(3);
  EXPECT_EQ(acquired(3), Acquired::yes);
}

TEST_F(ALock, OfAVanishedHolderTellsTheNextWhoComesLater) {
  acquire(1);
  lock.forget(1, answers);
  acquire(2);
  EXPECT_EQ(acquired(2), Acquired::owner_died);
}

TEST_F(ALock, AVanishedWaiterIsSkippedAndNoDeathOfAnOwner) {
  acquire(1);
  acquire(2);
  acquire(3);
  lock.forget(2, answers);
  release(1);
  EXPECT_EQ(acquired(3), Acquired::yes);
}

TEST_F(ALock, AnExpiredWaiterIsToldAndForgotten) {
  acquire(1);
  acquire(2);
  lock.expire(2, answers);
  EXPECT_EQ(acquired(2), Acquired::timed_out);
  release(1);
  acquire(3);
  EXPECT_EQ(acquired(3), Acquired::yes);
}

TEST_F(ALock, MisuseIsALogicError) {
  EXPECT_THROW(release(1), std::logic_error);
  acquire(1);
  EXPECT_THROW(acquire(1), std::logic_error);
  EXPECT_THROW(release(2), std::logic_error);
  acquired(1);
  release(1);
  EXPECT_THROW(release(1), std::logic_error);
}

TEST_F(AnRLock, IsReleasedAsOftenAsItWasAcquired) {
  acquire(1);
  EXPECT_EQ(acquired(1), Acquired::yes);
  acquire(1);
  EXPECT_EQ(acquired(1), Acquired::yes);
  acquire(2);
  release(1);
  EXPECT_EQ(acquired(2), std::nullopt);
  release(1);
  EXPECT_EQ(acquired(2), Acquired::yes);
  EXPECT_THROW(release(1), std::logic_error);
}

TEST_F(AnRLock, OfAVanishedHolderIsWhollyFree) {
  acquire(1);
  acquire(1);
  lock.forget(1, answers);
  acquire(2);
  EXPECT_EQ(acquired(2), Acquired::owner_died);
  release(2);
  acquire(3);
  EXPECT_EQ(acquired(3), Acquired::yes);
}

}  // namespace
}  // namespace forkecho::mp::managed
