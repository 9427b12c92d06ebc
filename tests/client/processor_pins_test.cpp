#include "client/processor_pins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <system_error>

#include "common/mp/cpu_count.h"
#include "common/mp/process.h"

namespace forkecho::client {
namespace {

using testing::ElementsAre;

Processors allowed_here() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  Processors processors;
  for (unsigned number = 0; number < CPU_SETSIZE; ++number) {
    if (CPU_ISSET(number, &allowed)) processors.push_back(number);
  }
  return processors;
}

TEST(ProcessorPins, ReadsListsOfBothRoles) {
  const auto pins = ProcessorPins::parse("server:0,client:1-3");
  ASSERT_TRUE(pins);
  EXPECT_THAT(pins->server, ElementsAre(0));
  EXPECT_THAT(pins->client, ElementsAre(1, 2, 3));
}

TEST(ProcessorPins, AListGoesOnUntilTheNextRole) {
  const auto pins = ProcessorPins::parse("client:7,2-3,0,server:5,4");
  ASSERT_TRUE(pins);
  EXPECT_THAT(pins->client, ElementsAre(0, 2, 3, 7));
  EXPECT_THAT(pins->server, ElementsAre(4, 5));
  EXPECT_EQ(pins->to_string(), "server:4-5,client:0,2-3,7");
}

TEST(ProcessorPins, WhatItWritesItReads) {
  for (const char* text : {"server:0", "client:1", "server:0-3,client:5,7-8", "client:1023"}) {
    const auto pins = ProcessorPins::parse(text);
    ASSERT_TRUE(pins) << text;
    EXPECT_EQ(pins->to_string(), text);
  }
  EXPECT_EQ(ProcessorPins().to_string(), "");
}

TEST(ProcessorPins, RefusesEverythingElse) {
  for (const char* text :
       {"", "0", "server", "server:", "server:,client:1", "client:1,", "daemon:0", "client:3-1",
        "client:1-", "client:-1", "client:1,1", "client:0-2,2", "client:1,client:2", "client:1024",
        "client: 1", "client:1:2", "client:99999999999"}) {
    EXPECT_FALSE(ProcessorPins::parse(text)) << text;
  }
}

TEST(ProcessorPins, WhatIsNotThereIsNamed) {
  EXPECT_EQ(find_unavailable(allowed_here()), "");
  EXPECT_EQ(find_unavailable({}), "");
  EXPECT_EQ(find_unavailable({1021, 1022, 1023}), "1021-1023");
}

TEST(ProcessorPins, ConfinesTheCaller) {
  const unsigned last = allowed_here().back();
  mp::Process child([last] {
    pin_this_process({});
    if (allowed_here().size() != mp::cpu_count()) _exit(1);
    pin_this_process({last});
    _exit(allowed_here() == Processors{last} ? 0 : 2);
  });
  child.start();
  child.join();
  EXPECT_EQ(child.exitcode(), 0);
}

TEST(ProcessorPins, TheKernelsRefusalIsAnError) {
  EXPECT_THROW(pin_this_process({CPU_SETSIZE - 1}), std::system_error);
}

}  // namespace
}  // namespace forkecho::client
