#include "server/process_context.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/server/serving_process.h"

namespace forkecho::server {
namespace {

/// A process of three pages that settles in and then does `act`, whose result is its exit code. A
/// write where it must not is a death.
std::optional<int> after_settling_in(const std::function<int(const ProcessContext&)>& act) {
  ServingProcess process(
      {}, Blocking::no,
      [&act](const ProcessContext& context) {
        settle_in(context, "test");
        mp::leave(act(context));
      },
      {"127.0.0.1:0"}, 3);
  return process.exitcode();
}

TEST(SettleIn, MakesAProcessGroupOfItsOwn) {
  EXPECT_EQ(after_settling_in([](const ProcessContext&) { return getpgrp() == getpid() ? 0 : 1; }),
            0);
}

TEST(SettleIn, SaysWhatItIs) {
  EXPECT_EQ(after_settling_in([](const ProcessContext&) {
              return tests::title_of(getpid()) == "forkechod: test" ? 0 : 1;
            }),
            0);
}

TEST(SettleIn, KeepsTheListenersAndNoOtherDescriptor) {
  const sys::Descriptor another(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(after_settling_in([](const ProcessContext& context) {
              const auto descriptors = tests::descriptors_of(getpid());
              // 0, 1, 2, the listener, and the directory that is being read
              return descriptors.contains(context.listeners[0].fd()) && descriptors.size() == 5 ? 0
                                                                                                : 1;
            }),
            0);
}

TEST(SettleIn, WritesItsOwnPageAndReadsTheOthers) {
  EXPECT_EQ(after_settling_in([](const ProcessContext& context) {
              context.page().book.accepted.add(1);
              return static_cast<int>(context.pages[1].book.accepted.get() +
                                      context.pages[2].book.accepted.get());
            }),
            0);
  for (const std::size_t other : {1, 2}) {
    EXPECT_NE(after_settling_in([other](const ProcessContext& context) {
                context.pages[other].book.accepted.add(1);
                return 0;
              }),
              0);
  }
}

TEST(SettleIn, EndsWithTheSupervisor) {
  const tests::AdoptOrphans adopt;
  const tests::Pipe lifeline;
  const pid_t supervisor = tests::start_child([&] {
    ServingProcess below({}, Blocking::no, [](const ProcessContext& context) {
      settle_in(context, "test");
      context.page().book.accepted.add(1);
      for (;;) pause();
    });
    if (!eventually([&] { return below.book().accepted == 1; })) return 1;
    const pid_t pid = below.pid();
    if (write(lifeline.write.get(), &pid, sizeof pid) != sizeof pid) return 1;
    for (;;) pause();
  });
  ASSERT_TRUE(tests::readable(lifeline.read.get()));
  pid_t below = 0;
  ASSERT_EQ(read(lifeline.read.get(), &below, sizeof below), static_cast<ssize_t>(sizeof below));
  kill(supervisor, SIGKILL);
  EXPECT_EQ(tests::exitcode_of(supervisor), -SIGKILL);
  EXPECT_EQ(tests::exitcode_of(below), -SIGKILL);
}

TEST(SettleIn, ASupervisorThatIsGoneAlreadyIsNoticed) {
  ServingProcess process({}, Blocking::no, [](const ProcessContext& context) {
    const ProcessContext orphan{.options = context.options,
                                .listeners = context.listeners,
                                .pages = context.pages,
                                .page_index = 0,
                                .peers = 1,
                                .supervisor = 1};
    settle_in(orphan, "test");
    mp::leave(0);
  });
  EXPECT_EQ(process.exitcode(), 113);
}

}  // namespace
}  // namespace forkecho::server
