#include "server/gate.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "common/mp/process.h"
#include "tests/server/peers.h"
#include "tests/support/eventually.h"
#include "tests/support/processes.h"
#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

using namespace std::chrono_literals;
using Verdict = Admission::Verdict;

Options options_with(std::uint32_t max_per_source, WhenFull when_full) {
  Options options;
  options.mode = Mode::event;
  options.when_full = when_full;
  options.admission.max_per_source = max_per_source;
  return options;
}

/// Processes of one generation, all of them the test's to play.
class Deciders {
 public:
  Deciders(Options options, std::size_t count, Elders elders = {})
      : options_(std::move(options)),
        pages_(std::make_shared<GenerationPages>(count + 1, options_)),
        elders_(std::move(elders)) {
    for (std::size_t i = 0; i < count; ++i) contexts_.push_back(context(i, count));
  }
  std::unique_ptr<Gate> gate(std::size_t index, std::uint64_t limit,
                             Accepting accepting = Accepting::polls) {
    return std::make_unique<Gate>(contexts_[index], accepting, limit);
  }
  GenerationPages& pages() { return *pages_; }
  const std::shared_ptr<GenerationPages>& shared_pages() { return pages_; }

 private:
  ProcessContext context(std::size_t index, std::size_t count) {
    return {.options = options_,
            .listeners = {},
            .pages = *pages_,
            .page_index = index,
            .peers = static_cast<unsigned>(count),
            .supervisor = getpid(),
            .elders = elders_};
  }
  Options options_;
  std::shared_ptr<GenerationPages> pages_;
  Elders elders_;
  std::vector<ProcessContext> contexts_;
};

TEST(Gate, WhereClientsWaitAPlaceIsClaimedBeforeTheyAreAccepted) {
  Deciders deciders(options_with(0, WhenFull::wait), 2);
  const auto a = deciders.gate(0, 2);
  const auto b = deciders.gate(1, 2);
  EXPECT_EQ(a->before_accept(), Admission::admit());
  EXPECT_EQ(b->before_accept(), Admission::admit());
  EXPECT_FALSE(a->is_open());
  EXPECT_EQ(a->before_accept().verdict, Verdict::wait);
  EXPECT_FALSE(a->look_again().is_never()) << "room that another makes is to be looked for";
  b->nobody_came();
  EXPECT_TRUE(a->is_open());
  EXPECT_EQ(a->before_accept(), Admission::admit());
  EXPECT_EQ(a->decide(peer("10.0.0.1")), Admission::admit());
  EXPECT_EQ(b->before_accept().verdict, Verdict::wait);
  a->ended(a->source());
  EXPECT_EQ(b->before_accept(), Admission::admit());
}

TEST(Gate, ARefusedSourceGivesBackThePlaceThatWasClaimedForIt) {
  Deciders deciders(options_with(1, WhenFull::wait), 2);
  const auto a = deciders.gate(0, 2);
  const auto b = deciders.gate(1, 2);
  ASSERT_EQ(a->before_accept(), Admission::admit());
  ASSERT_EQ(a->decide(peer("10.0.0.1")), Admission::admit());
  const Source first = a->source();
  ASSERT_EQ(b->before_accept(), Admission::admit());
  EXPECT_EQ(b->decide(peer("10.0.0.1")), Admission::refuse(Refusal::per_source));
  EXPECT_EQ(b->before_accept(), Admission::admit());
  EXPECT_EQ(b->decide(peer("10.0.0.2")), Admission::admit());
  EXPECT_EQ(a->before_accept().verdict, Verdict::wait);
  a->ended(first);
  ASSERT_EQ(a->before_accept(), Admission::admit());
  EXPECT_EQ(a->decide(peer("10.0.0.1")), Admission::admit());
}

TEST(Gate, WhatIsRefusedForTheLimitOfAllDoesNotCountForItsSource) {
  Deciders deciders(options_with(1, WhenFull::refuse), 1);
  const auto gate = deciders.gate(0, 1);
  ASSERT_EQ(gate->decide(peer("10.0.0.1")), Admission::admit());
  const Source first = gate->source();
  EXPECT_EQ(gate->decide(peer("10.0.0.2")), Admission::refuse(Refusal::full));
  gate->ended(first);
  EXPECT_EQ(gate->decide(peer("10.0.0.2")), Admission::admit());
}

TEST(Gate, AdoptedChildrenAndEldersCount) {
  const Options options = options_with(2, WhenFull::refuse);
  Deciders old(options, 1);
  const auto elder = old.gate(0, 10);
  ASSERT_EQ(elder->decide(peer("10.0.0.1")), Admission::admit());
  old.pages()[0].book.accepted.add(1);
  old.pages()[0].door = Door::open;
  Deciders deciders(options, 1, {old.shared_pages()});
  const auto gate = deciders.gate(0, 3);
  EXPECT_FALSE(gate->is_open()) << "the elder may still let somebody in";
  old.pages()[0].door = Door::shut;
  EXPECT_TRUE(gate->is_open());
  deciders.pages().all().back().book.accepted.set(1);
  deciders.pages().admission.sources->table(1).add(source_of(peer("10.0.0.2")));
  ASSERT_EQ(gate->decide(peer("10.0.0.1")), Admission::admit());
  EXPECT_EQ(gate->decide(peer("10.0.0.1")), Admission::refuse(Refusal::per_source));
  EXPECT_EQ(gate->decide(peer("10.0.0.3")), Admission::refuse(Refusal::full));
  deciders.pages().all().back().book.accepted.set(0);
  EXPECT_EQ(gate->decide(peer("10.0.0.2")), Admission::admit());
}

TEST(Gate, InTheEndNobodyWaitsAnyMore) {
  Deciders deciders(options_with(0, WhenFull::wait), 1);
  const auto gate = deciders.gate(0, 1);
  ASSERT_EQ(gate->before_accept(), Admission::admit());
  ASSERT_EQ(gate->decide(peer("10.0.0.1")), Admission::admit());
  gate->set_closing(Closing::draining);
  EXPECT_EQ(gate->before_accept().verdict, Verdict::wait);
  gate->set_closing(Closing::last_call);
  EXPECT_TRUE(gate->is_open());
  EXPECT_EQ(gate->before_accept(), Admission::admit()) << "accepted, to be refused";
  EXPECT_EQ(gate->decide(peer("10.0.0.1")), Admission::refuse(Refusal::draining));
}

TEST(Gate, TheRateHoldsOverAllAndComesAgain) {
  Options options = options_with(0, WhenFull::wait);
  options.admission.accept_rate = 20;
  options.admission.accept_burst = 2;
  Deciders deciders(options, 2);
  const auto a = deciders.gate(0, 10);
  const auto b = deciders.gate(1, 10);
  EXPECT_EQ(a->before_accept(), Admission::admit());
  a->nobody_came();  // no token was used
  EXPECT_EQ(a->before_accept(), Admission::admit());
  EXPECT_EQ(b->before_accept(), Admission::admit());
  EXPECT_EQ(b->before_accept().verdict, Verdict::pause);
  EXPECT_FALSE(b->look_again().is_never());
  EXPECT_TRUE(tests::eventually(tests::patience(), [&] { return a->is_open(); }));
}

/// One that stands still while it asks counts for one connection, and holds up nobody for long.
TEST(Gate, OneThatWasStoppedWhileItAskedTakesOnePlaceAtMost) {
  Deciders deciders(options_with(0, WhenFull::refuse), 3);
  deciders.pages()[0].claims.set(0, Claims::Asking::for_place);
  const auto gate = deciders.gate(1, 2);
  EXPECT_EQ(gate->decide(peer("10.0.0.1")), Admission::admit());
  EXPECT_EQ(gate->decide(peer("10.0.0.1")), Admission::refuse(Refusal::full));
  deciders.pages()[0].claims.set(0, Claims::Asking::no);
  EXPECT_EQ(gate->decide(peer("10.0.0.1")), Admission::admit());
}

TEST(Gate, ARefusedClientSeesAnOrderlyEndAndIsBooked) {
  Deciders deciders(options_with(1, WhenFull::refuse), 1);
  const auto gate = deciders.gate(0, 1);
  auto pair = tests::tcp_pair();
  ASSERT_TRUE(tests::send_all(pair.client.get(), "hello"));
  gate->refuse({.socket = std::move(pair.server), .peer = peer("10.0.0.7")}, Refusal::per_source);
  EXPECT_EQ(tests::receive_to_end(pair.client.get()), "");
  EXPECT_EQ(deciders.pages()[0].book.refused[1].get(), 1U);
  EXPECT_EQ(source_text(Source{deciders.pages()[0].most_refused.source.get()}), "10.0.0.7");
}

/// Processes that come and go at the limits as fast as they can. A witness in memory of its own
/// counts who is in: never more than the limits, and in the end each limit can be had in full.
TEST(Gate, TogetherTheyNeverTakeMoreThanThereIs) {
  constexpr std::uint32_t limit = 3;
  constexpr std::uint32_t per_source = 2;
  constexpr int processes = 4;
  for (const WhenFull when_full : {WhenFull::refuse, WhenFull::wait}) {
    Deciders deciders(options_with(per_source, when_full), processes + 1);
    struct Witness {
      std::atomic<std::uint32_t> inside[3];  // all; of either source
      std::atomic<std::uint64_t> admitted;
      std::atomic<std::uint64_t> too_many;
    };
    const mp::RawValue<Witness> witness;
    const auto enter = [&](std::size_t which, std::uint32_t most) {
      if (witness->inside[which].fetch_add(1) >= most) ++witness->too_many;
    };
    std::vector<mp::Process> crowd;
    for (std::size_t i = 0; i < processes; ++i) {
      crowd.emplace_back([&, i] {
        const auto gate = deciders.gate(i, limit);
        for (int n = 0; n < 4000; ++n) {
          const std::size_t which = (i + static_cast<std::size_t>(n)) % 2;
          if (gate->before_accept().verdict != Verdict::admit) continue;
          if (gate->decide(peer(which == 0 ? "10.0.0.1" : "10.0.0.2")) != Admission::admit())
            continue;
          enter(0, limit);
          enter(which + 1, per_source);
          ++witness->admitted;
          if (n % 64 == 0) sched_yield();
          --witness->inside[which + 1];
          --witness->inside[0];
          gate->ended(gate->source());
        }
      });
      crowd.back().start();
    }
    for (mp::Process& process : crowd) {
      ASSERT_TRUE(process.join(tests::patience()));
      EXPECT_EQ(process.exitcode(), 0);
    }
    EXPECT_EQ(witness->too_many, 0U);
    EXPECT_GT(witness->admitted, 100U);
    const auto last = deciders.gate(processes, limit);
    int admitted = 0;
    for (const char* address : {"10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2"}) {
      if (last->before_accept().verdict != Verdict::admit) continue;
      admitted += last->decide(peer(address)) == Admission::admit();
    }
    EXPECT_EQ(admitted, 3);
  }
}

/// Of as many as ask at once exactly as many get in as there are places: nobody is refused for one
/// that another did not get either.
TEST(Gate, OfThoseWhoAskAtOnceExactlyAsManyGetInAsThereArePlaces) {
  constexpr std::size_t processes = 6;
  for (int round = 0; round < 30; ++round) {
    Deciders deciders(options_with(2, WhenFull::refuse), processes);
    const mp::RawArray<std::atomic<int>> results(processes);
    tests::Gate go;
    tests::Gate leave;
    std::vector<mp::Process> crowd;
    for (std::size_t i = 0; i < processes; ++i) {
      crowd.emplace_back([&, i] {
        const auto gate = deciders.gate(i, 100);
        go.pass();
        results[i] = gate->decide(peer("10.0.0.1")) == Admission::admit() ? 2 : 1;
        leave.pass();
      });
      crowd.back().start();
    }
    go.open();
    ASSERT_TRUE(tests::eventually(tests::patience(), [&] {
      const auto all = results.all();
      return std::all_of(all.begin(), all.end(), [](const auto& result) { return result != 0; });
    }));
    const auto all = results.all();
    EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const auto& r) { return r == 2; }), 2);
    leave.open();
    for (mp::Process& process : crowd) ASSERT_TRUE(process.join(tests::patience()));
  }
}

}  // namespace
}  // namespace forkecho::server
