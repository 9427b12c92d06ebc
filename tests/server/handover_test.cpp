#include "server/handover.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "server/exit_code.h"
#include "tests/support/child.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using testing::ElementsAre;
using Owner = Listener::Owner;

Handover example() {
  return {.channel = 5,
          .pidfile = 6,
          .control = 7,
          .predecessors = {8, 9},
          .listeners = {{.fd = 10, .owner = Owner::daemon, .text = "127.0.0.1:0"},
                        {.fd = 11, .owner = Owner::service_manager, .text = ""},
                        {.fd = 12, .owner = Owner::daemon, .text = "unix:/a b,c%\n=\"\xc3\x9f"}}};
}

TEST(Handover, ComesOutOfItsTextAsItWent) {
  EXPECT_EQ(decode_handover(encode(example())), example());
}

TEST(Handover, IsOneLineOfPlainText) {
  const std::string text = encode(example());
  EXPECT_EQ(text,
            "1 channel=5 pidfile=6 control=7 predecessor=8 predecessor=9 "
            "listener=10,own,127.0.0.1:0 listener=11,passed, "
            "listener=12,own,unix:/a%20b%2cc%25%0a=\"%c3%9f");
}

TEST(Handover, NamesAllItsDescriptors) {
  EXPECT_THAT(example().descriptors(), ElementsAre(5, 6, 7, 8, 9, 10, 11, 12));
}

TEST(Handover, OfAnotherFormIsNotUnderstood) {
  const std::string good = "1 channel=5 pidfile=6 control=7 predecessor=8";
  EXPECT_TRUE(decode_handover(good));
  EXPECT_TRUE(decode_handover(good + " listener=9,own,x"));
  for (const std::string& bad :
       {std::string(), std::string("1"), "2" + good.substr(1), good.substr(2),
        std::string("1 channel=5 pidfile=6 control=7"), good + " other=1", good + " listener=9",
        good + " listener=9,", good + " listener=9,mine,x", good + " listener=x,own,x",
        good + " listener=9,own,%", good + " listener=9,own,%2", good + " listener=9,own,%2x",
        good + " listener=-9,own,x", good + " predecessor=8x", good + "  predecessor=8",
        good + " predecessor", good + " =3"}) {
    EXPECT_FALSE(decode_handover(bad)) << bad;
  }
}

/// In a child, with the environment as a daemon that hands over leaves it.
template <typename Body>
std::optional<int> with_handover(const std::string& text, Body body) {
  return tests::exitcode_in_child([&] {
    setenv(handover_variable, text.c_str(), 1);
    return body();
  });
}

TEST(Inheritance, TakesEveryDescriptorAndTheVariable) {
  const tests::Pipe one;
  const tests::Pipe two;
  const Listener listener = Listener::open(tests::address_of("127.0.0.1:0"), 5);
  const Handover handover{
      .channel = one.read.get(),
      .pidfile = one.write.get(),
      .control = two.read.get(),
      .predecessors = {two.write.get()},
      .listeners = {{.fd = listener.fd(), .owner = Owner::service_manager, .text = ""}}};
  EXPECT_EQ(with_handover(encode(handover),
                          [&] {
                            for (const int fd : handover.descriptors()) fcntl(fd, F_SETFD, 0);
                            const Inheritance inherited = take_inheritance();
                            if (std::getenv(handover_variable) != nullptr) return 1;
                            if (!inherited.is_handover()) return 2;
                            if (inherited.pidfile.get() != handover.pidfile) return 3;
                            if (inherited.control.get() != handover.control) return 4;
                            if (inherited.predecessors.size() != 1) return 5;
                            if (inherited.listeners.size() != 1) return 6;
                            const Listener& taken = inherited.listeners.front().listener;
                            if (taken.owner() != Owner::service_manager) return 7;
                            if (taken.fd() != listener.fd()) return 8;
                            for (const int fd : handover.descriptors()) {
                              if (fcntl(fd, F_GETFD) != FD_CLOEXEC) return 9;
                            }
                            return 0;
                          }),
            0);
}

TEST(Inheritance, OfNothingIsNone) {
  const Inheritance inherited = take_inheritance();
  EXPECT_FALSE(inherited.is_handover());
  EXPECT_TRUE(inherited.listeners.empty());
}

TEST(Inheritance, ThatCannotBeTakenIsAConfigurationError) {
  const tests::Pipe pipe;
  const std::string fd = std::to_string(pipe.read.get());
  const std::string open =
      "1 channel=" + fd + " pidfile=" + fd + " control=" + fd + " predecessor=" + fd;
  for (const std::string& bad : {std::string("nonsense"), open + " listener=" + fd + ",own,x",
                                 std::string("1 channel=999 pidfile=9 control=9 predecessor=9")}) {
    EXPECT_EQ(with_handover(bad,
                            [] {
                              try {
                                take_inheritance();
                              } catch (const FatalError& error) {
                                const bool named =
                                    std::string(error.what()).find(handover_variable) !=
                                    std::string::npos;
                                return error.code() == ExitCode::config && named ? 0 : 1;
                              }
                              return 2;
                            }),
              0)
        << bad;
  }
}

TEST(TakeMatching, ByTheTextFirstAndThenByTheAddress) {
  std::list<Inheritance::Socket> inherited;
  std::vector<std::string> addresses;
  for (const char* text : {"127.0.0.1:0", "localhost:0", "127.0.0.1:0"}) {
    inherited.push_back({Listener::open(tests::address_of("127.0.0.1:0"), 5), text});
    addresses.push_back(inherited.back().listener.address().to_string());
  }
  const auto first = take_matching(inherited, "127.0.0.1:0", {});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->address().to_string(), addresses[0]);
  const auto by_address = take_matching(inherited, addresses[1], {tests::address_of(addresses[1])});
  ASSERT_TRUE(by_address);
  EXPECT_EQ(by_address->address().to_string(), addresses[1]);
  EXPECT_FALSE(take_matching(inherited, "localhost:0", {tests::address_of("127.0.0.1:0")}));
  EXPECT_FALSE(take_matching(inherited, addresses[0], {tests::address_of(addresses[0])}));
  EXPECT_EQ(inherited.size(), 1U);
  EXPECT_TRUE(take_matching(inherited, "127.0.0.1:0", {}));
  EXPECT_TRUE(inherited.empty());
}

}  // namespace
}  // namespace forkecho::server
