#include "server/book.h"

namespace forkecho::server {
namespace {

bool is_timeout(Ending ending) {
  return ending >= Ending::first_byte_timeout && ending <= Ending::drain_timeout;
}

std::size_t timeout_index(Ending ending) {
  return static_cast<std::size_t>(ending) - static_cast<std::size_t>(Ending::first_byte_timeout);
}

}  // namespace

void BookTotals::add_ending(Ending ending) {
  if (is_timeout(ending)) {
    ++timed_out[timeout_index(ending)];
  } else {
    ++(ending == Ending::served ? served : crashed);
  }
}

BookTotals& BookTotals::operator+=(const BookTotals& other) {
  accepted += other.accepted;
  served += other.served;
  for (std::size_t i = 0; i < refused.size(); ++i) refused[i] += other.refused[i];
  for (std::size_t i = 0; i < timed_out.size(); ++i) timed_out[i] += other.timed_out[i];
  fork_failed += other.fork_failed;
  crashed += other.crashed;
  bytes_in += other.bytes_in;
  bytes_out += other.bytes_out;
  forked += other.forked;
  reaped += other.reaped;
  fork_times += other.fork_times;
  log_lost += other.log_lost;
  access_log_lost += other.access_log_lost;
  return *this;
}

void Book::record(Ending ending) {
  if (is_timeout(ending)) {
    timed_out[timeout_index(ending)].add(1);
  } else {
    (ending == Ending::served ? served : crashed).add(1);
  }
}

/// What is read first may be older than what is read last by as long as the reader was held up: it
/// reads again what has changed meanwhile.
BookTotals Book::read() const {
  constexpr int attempts = 8;
  BookTotals totals = read_once();
  for (int i = 1; i < attempts; ++i) {
    const BookTotals again = read_once();
    const bool stood_still = again.ended() == totals.ended() && again.reaped == totals.reaped;
    totals = again;
    if (stood_still) break;
  }
  return totals;
}

BookTotals Book::read_once() const {
  BookTotals totals;
  totals.served = served.get();
  for (std::size_t i = 0; i < refused.size(); ++i) totals.refused[i] = refused[i].get();
  for (std::size_t i = 0; i < timed_out.size(); ++i) totals.timed_out[i] = timed_out[i].get();
  totals.fork_failed = fork_failed.get();
  totals.crashed = crashed.get();
  totals.reaped = reaped.get();
  totals.bytes_out = bytes_out.get();
  totals.bytes_in = bytes_in.get();
  totals.forked = forked.get();
  totals.accepted = accepted.get();  // last: see the head of book.h
  return totals;
}

bool had_client(int exitcode, bool said_so) {
  if (exitcode == unused_spare) return false;
  return said_so || ending_of_exitcode(exitcode) != Ending::crashed;
}

Ending ending_of_exitcode(int exitcode) {
  const auto ending = static_cast<Ending>(exitcode);
  return ending == Ending::served || is_timeout(ending) ? ending : Ending::crashed;
}

}  // namespace forkecho::server
