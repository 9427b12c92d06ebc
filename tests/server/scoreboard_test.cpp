#include "server/scoreboard.h"

#include <gtest/gtest.h>
#include <sys/un.h>

#include <cstring>

#include "tests/support/sockets.h"

namespace forkecho::server {
namespace {

std::string text_of(const char* address_text) {
  const auto address = tests::address_of(address_text);
  sockaddr_storage storage{};
  std::memcpy(&storage, address.get(), address.length());
  return PeerAddress::of(storage).to_string();
}

TEST(PeerAddress, IsShownAsUsersWriteIt) {
  for (const char* text :
       {"127.0.0.1:40112", "0.0.0.0:1", "255.255.255.255:65535", "10.0.200.30:80", "[::1]:9001",
        "[::]:1", "[2001:db8::7]:65535", "[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
        "[::ffff:255.255.255.255]:65535"}) {
    EXPECT_EQ(text_of(text), text);
  }
  EXPECT_EQ(text_of("unix:/some/path"), "unix:");
}

TEST(PeerAddress, NonsenseIsShownAsNothing) {
  PeerAddress nonsense{};
  std::memset(&nonsense, 0xff, sizeof nonsense);
  EXPECT_EQ(nonsense.to_string(), "");
  EXPECT_EQ(PeerAddress{}.to_string(), "");
}

TEST(Slot, EnteringAStateNotesTheTime) {
  Slot slot{};
  const auto before = sys::Clock::now().time_since_epoch().count();
  slot.enter(SlotState::serving);
  EXPECT_EQ(slot.state.load(), SlotState::serving);
  EXPECT_GE(slot.since_ns.load(), before);
  EXPECT_LE(slot.since_ns.load(), sys::Clock::now().time_since_epoch().count());
}

TEST(ProcessPage, ItsBytesAreThoseOfTheBookAndOfTheSlot) {
  ProcessPage page{};
  page.book.bytes_in.add(100);
  page.book.bytes_out.add(200);
  page.book.accepted.add(3);
  page.slot.meter.bytes_in.add(7);
  page.slot.meter.bytes_out.add(9);
  const BookTotals totals = read_page(page);
  EXPECT_EQ(totals.bytes_in, 107U);
  EXPECT_EQ(totals.bytes_out, 209U);
  EXPECT_EQ(totals.accepted, 3U);
}

}  // namespace
}  // namespace forkecho::server
