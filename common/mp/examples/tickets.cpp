// Two tickets and ten buyers, each of whom looks how many are left, and then writes one less: under
// a Lock; under a Lock whose first holder crashes; and without a lock.
//
//   tickets [all | lock | crash | oversell] [DELAY_MS]
//
// The delay comes between the look and the purchase; the document's is 1000 to 3000.
#include <fstream>
#include <limits>
#include <string_view>
#include <thread>
#include <vector>

#include "common/mp/barrier.h"
#include "common/mp/examples/say.h"
#include "common/mp/examples/scratch_directory.h"
#include "common/mp/lock.h"
#include "common/mp/process.h"
#include "common/mp/shared.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;

namespace {

constexpr int buyers = 10;
constexpr int tickets = 2;
std::chrono::milliseconds delay;

struct Office {
  std::string file;  // {"tickets_num": 2}, as in the document
  mp::Lock lock;
  mp::Barrier all_have_looked{buyers};
  mp::Value<int> visits{0};
  mp::Value<int> sold{0};
};

int tickets_left(const Office& office) {
  std::ifstream file(office.file);
  file.ignore(std::numeric_limits<std::streamsize>::max(), ':');
  int left = 0;
  file >> left;
  return left;
}

void write_tickets_left(const Office& office, int left, std::ios::openmode mode = std::ios::out) {
  std::fstream file(office.file, mode);
  file.exceptions(std::ios::failbit | std::ios::badbit);
  file << "{\"tickets_num\": " << left << "}" << std::endl;
}

void sell(Office& office, int buyer, int seen) {
  if (seen == 0) return say("buyer ", buyer, " goes without");
  write_tickets_left(office, seen - 1);
  office.sold.update([](int& sold) { ++sold; });
  say("buyer ", buyer, " has one");
}

void buy_under_lock(Office& office, int buyer) {
  const mp::LockGuard guard(office.lock);
  const int seen = tickets_left(office);
  std::this_thread::sleep_for(delay);
  sell(office, buyer, seen);
}

/// As the document does it: a release that an exception skips, and, for the first who gets in, the
/// file opened to read when it is to be written.
void buy_and_crash(Office& office, int buyer) {
  if (office.lock.acquire() == mp::Acquired::owner_died)
    say("buyer ", buyer, " is told that the holder died, and goes on");
  const int seen = tickets_left(office);
  std::this_thread::sleep_for(delay);
  bool first = false;
  office.visits.update([&](int& visits) { first = visits++ == 0; });
  if (first) write_tickets_left(office, seen - 1, std::ios::in);
  sell(office, buyer, seen);
  office.lock.release();
}

/// The worst moment, every time: all look before one has written.
void buy_without_lock(Office& office, int buyer) {
  const int seen = tickets_left(office);
  office.all_have_looked.wait();
  sell(office, buyer, seen);
}

void open_office(const char* way, void (*buy)(Office&, int)) {
  const forkecho::examples::ScratchDirectory directory;
  Office office;
  office.file = directory.path() / "tickets.json";
  write_tickets_left(office, tickets);
  say(way, ":");
  std::vector<mp::Process> processes;
  for (int i = 1; i <= buyers; ++i) processes.emplace_back([&, i] { buy(office, i); }).start();
  int crashed = 0;
  for (mp::Process& process : processes) {
    process.join();
    crashed += process.exitcode() != 0;
  }
  say(way, ": sold ", office.sold.get(), " of ", tickets, ", left ", tickets_left(office),
      ", crashed ", crashed);
}

}  // namespace

int main(int argc, char** argv) {
  delay = forkecho::examples::pause_argument(argc, argv, 2, 5);
  const std::string_view chosen = argc > 1 ? argv[1] : "all";
  const auto wants = [&](std::string_view way) { return chosen == "all" || chosen == way; };
  if (wants("lock")) open_office("lock", buy_under_lock);
  if (wants("crash")) open_office("crash", buy_and_crash);
  if (wants("oversell")) open_office("oversell", buy_without_lock);
  say("The document: opens the file to read when it wants to write, so that its first buyer "
      "crashes with the lock in its hand, and the other nine hang for ever.");
}
