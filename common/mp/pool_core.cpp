#include "common/mp/pool_core.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/mp/reap.h"
#include "common/mp/task.h"
#include "common/sys/check_syscall.h"

namespace forkecho::mp::detail {
namespace {

using std::chrono::milliseconds;

/// How long the maker waits for messages before it looks whether the workers live. End of file
/// tells of a death at once, unless a process that the worker had started holds the connection
/// open.
constexpr sys::Duration look_after_interval = milliseconds(100);
/// How long a worker whose connection has ended may take to end, and one that was sent SIGTERM,
/// before it is killed.
constexpr sys::Duration grace = milliseconds(1000);
/// So many initializers failed in a row: the next would as well.
constexpr unsigned most_failed_initializers = 3;
/// So many workers in a row ended before they came to the initializer.
constexpr unsigned most_deaths_before_ready = 100;

std::size_t checked_count(int processes) {
  if (processes < 1)
    throw std::invalid_argument("a pool of " + std::to_string(processes) +
                                " processes: at least one is needed");
  return static_cast<std::size_t>(processes);
}

unsigned checked_life(const PoolOptions& options) {
  if (options.maxtasksperchild == 0u)
    throw std::invalid_argument("maxtasksperchild of 0: at least one is needed");
  return options.maxtasksperchild.value_or(0);
}

/// As join, and also where no descriptor is free to wait with.
bool ended_before(Process& process, sys::Deadline deadline) {
  try {
    return process.join(deadline);
  } catch (const std::system_error&) {
    while (process.is_alive()) {
      if (deadline.passed()) return false;
      poll(nullptr, 0, 1);
    }
    return true;
  }
}

/// Its exit code; it is killed if it does not end by itself.
int end_of(Process& process) {
  if (!ended_before(process, sys::Deadline::after(grace))) {
    process.kill();
    ended_before(process, sys::Deadline::never());
  }
  return process.exitcode().value_or(exit_unknown);
}

std::string worker_name(std::string process_name) {
  const std::string_view plain = "Process";
  const auto at = process_name.find(plain);
  return at == std::string::npos ? "PoolWorker"
                                 : process_name.replace(at, plain.size(), "PoolWorker");
}

}  // namespace

PoolCore::PoolCore(int processes, PoolOptions options)
    : options_(std::move(options)),
      owner_(getpid()),
      books_(checked_count(processes), checked_life(options_)),
      slots_(checked_count(processes)),
      places_(checked_count(processes)) {
  try {
    for (std::size_t place = 0; place < places_.size(); ++place) start_worker(place);
  } catch (...) {
    end_workers();
    throw;
  }
}

PoolCore::~PoolCore() {
  if (owner_ != getpid()) return;
  try {
    terminate();
  } catch (...) {
    // The kernel ends daemon children at the latest with this process.
  }
}

void PoolCore::check_owner() const {
  if (owner_ != getpid()) throw std::logic_error("the pool belongs to another process");
}

void PoolCore::check_running() const {
  check_owner();
  check_state();
}

void PoolCore::check_state() const {
  if (state_ == State::closed) throw std::logic_error("the pool is closed: it takes no more tasks");
  if (state_ == State::terminated) throw std::logic_error("the pool was terminated");
  if (broken_) throw PoolBroken(*broken_);
}

// ---- Workers

void PoolCore::start_worker(std::size_t place) {
  Pipe pipe;
  slots_[place].reset();
  Process process([this, place, &pipe] { run_worker(place, pipe); });
  process.set_name(worker_name(process.name()));
  process.set_daemon(true);
  process.start();
  pipe.first.set_patience(look_after_interval);
  places_[place] = {.process = std::move(process), .connection = std::move(pipe.first)};
  books_.worker_came(place);
}

void PoolCore::run_worker(std::size_t place, Pipe& pipe) {
  // The other workers are told of this process's end, and this one of the maker's, by nobody
  // holding a copy of their connections.
  for (Place& other : places_) other.connection.reset();
  pipe.first.close();
  std::signal(SIGTERM, SIG_DFL);  // the maker may ignore it, and terminate() shall work
  leave(serve_pool({.connection = &pipe.second,
                    .slot = &slots_[place],
                    .initializer = &options_.initializer,
                    .first_ticket = books_.next_ticket(place),
                    .tasks = options_.maxtasksperchild.value_or(0)}));
}

bool PoolCore::needs_workers() const {
  if (broken_ || state_ == State::terminated) return false;
  return state_ == State::running || books_.waiting() > 0;
}

/// As far as the system lets it; the next turn tries again.
void PoolCore::replace_missing() {
  note_ready_workers();
  refused_ = nullptr;
  for (std::size_t place = 0; place < places_.size(); ++place) {
    if (!books_.vacant(place) && books_.spent(place)) retire(place);
  }
  for (std::size_t place = 0; place < places_.size() && !refused_; ++place) {
    if (!books_.vacant(place) || !needs_workers()) continue;
    try {
      start_worker(place);
    } catch (const std::system_error&) {
      refused_ = std::current_exception();
    }
  }
}

bool PoolCore::any_worker() const {
  for (std::size_t place = 0; place < places_.size(); ++place) {
    if (!books_.vacant(place)) return true;
  }
  return false;
}

void PoolCore::note_ready_workers() {
  for (std::size_t place = 0; place < places_.size(); ++place) {
    if (books_.vacant(place) || books_.ready(place)) continue;
    if (slots_[place].stage() < WorkerSlot::Stage::ready) continue;
    books_.worker_ready(place);
    deaths_before_ready_ = 0;
    failed_initializers_ = 0;
  }
}

/// Of a worker that leaves by itself.
void PoolCore::retire(std::size_t place) {
  books_.worker_went(place);
  leavers_.push_back(std::move(*places_[place].process));
  places_[place] = {};
}

/// Of a worker that has ended, or whose connection has.
void PoolCore::bury(std::size_t place) {
  note_ready_workers();
  const WorkerSlot::Stage stage = slots_[place].stage();
  const int exitcode = end_of(*places_[place].process);
  places_[place] = {};
  const auto lost = settle(books_.worker_went(place), stage);
  if (stage < WorkerSlot::Stage::ready) note_death_before_ready(stage, exitcode);
  fail_tasks(lost, [&](TaskNumber number) {
    return std::make_exception_ptr(WorkerDied(exitcode, number));
  });
}

void PoolCore::note_death_before_ready(WorkerSlot::Stage stage, int exitcode) {
  ++deaths_before_ready_;
  // A kill says nothing about the initializer, and may come at any moment.
  if (stage == WorkerSlot::Stage::initialising && exitcode != -SIGKILL) ++failed_initializers_;
  const std::string how =
      initializer_error_.empty() ? "exit code " + std::to_string(exitcode) : initializer_error_;
  initializer_error_.clear();
  if (failed_initializers_ >= most_failed_initializers)
    break_pool("the pool's initializer failed " + std::to_string(failed_initializers_) +
               " times in a row, at last with " + how);
  else if (deaths_before_ready_ >= most_deaths_before_ready)
    break_pool(std::to_string(deaths_before_ready_) +
               " workers of the pool in a row ended before they began, at last with " + how);
}

void PoolCore::break_pool(const std::string& reason) {
  broken_ = reason;
  end_workers();
  std::vector<TaskNumber> all;
  for (const auto& [number, task] : tasks_) all.push_back(number);
  fail_tasks(all, [&](TaskNumber) { return std::make_exception_ptr(PoolBroken(reason)); });
}

/// Of all at once, whatever they are doing.
void PoolCore::end_workers() {
  for (std::size_t place = 0; place < places_.size(); ++place) {
    if (!books_.vacant(place)) retire(place);
  }
  for (Process& worker : leavers_) worker.terminate();
  if (wait_for_leavers(sys::Deadline::after(grace))) return;
  for (Process& worker : leavers_) worker.kill();
  wait_for_leavers(sys::Deadline::never());
}

void PoolCore::reap_leavers() {
  std::erase_if(leavers_, [](Process& worker) { return worker.exitcode().has_value(); });
}

/// True when none is left.
bool PoolCore::wait_for_leavers(sys::Deadline deadline) {
  for (Process& worker : leavers_) ended_before(worker, deadline);
  reap_leavers();
  return leavers_.empty();
}

std::vector<pid_t> PoolCore::worker_pids() const {
  std::vector<pid_t> pids;
  for (const Place& place : places_) {
    if (place.process) pids.push_back(*place.process->pid());
  }
  return pids;
}

// ---- Tasks

TaskNumber PoolCore::submit(Bytes message, std::shared_ptr<ResultSink> sink, std::size_t first,
                            std::size_t count) {
  check_state();
  if (message.size() > Connection::largest_message)
    throw std::length_error("a task of " + std::to_string(message.size()) +
                            " bytes: the largest is " +
                            std::to_string(Connection::largest_message));
  const TaskNumber number = ++last_number_;
  tasks_.emplace_hint(tasks_.end(), number,
                      Task{std::move(message), std::move(sink), first, count});
  books_.wait(number);
  return number;
}

/// After a death: what was not begun waits again, and so does what is to be tried again. The rest,
/// which is lost.
std::vector<TaskNumber> PoolCore::settle(const std::vector<PoolBooks::Offer>& unanswered,
                                         WorkerSlot::Stage stage) {
  std::vector<TaskNumber> lost;
  bool was_next = stage == WorkerSlot::Stage::serving;
  for (const PoolBooks::Offer& offer : unanswered) {
    Task& task = tasks_.at(offer.task);
    const bool begun = slots_[offer.place].begun(offer.ticket);
    if (std::exchange(was_next, false) && !begun) ++task.deaths_before_begun;
    if (hand_out_again(begun, options_.on_worker_death, task.retries, options_.max_retries,
                       task.deaths_before_begun)) {
      if (begun) ++task.retries;
      books_.wait(offer.task);
    } else {
      lost.push_back(offer.task);
    }
  }
  return lost;
}

/// Every one ends, even when a callback throws; then the first of what they threw goes on.
void PoolCore::fail_tasks(const std::vector<TaskNumber>& numbers,
                          const std::function<std::exception_ptr(TaskNumber)>& error) {
  std::exception_ptr thrown;
  for (const TaskNumber number : numbers) {
    books_.drop(number);
    auto task = tasks_.extract(number);
    if (!task) continue;
    try {
      task.mapped().sink->fail(task.mapped().first, task.mapped().count, error(number));
    } catch (...) {
      if (!thrown) thrown = std::current_exception();
    }
  }
  if (thrown) std::rethrow_exception(thrown);
}

// ---- Messages to workers

void PoolCore::hand_out() {
  note_ready_workers();
  while (recall_one() || offer_one()) continue;
}

void PoolCore::hand_out_quietly() {
  try {
    hand_out();
  } catch (...) {
    if (!postponed_) postponed_ = std::current_exception();
  }
}

/// Takes a task back for a worker that has nothing to do, and gives it to that.
bool PoolCore::recall_one() {
  const auto offer = books_.next_recall();
  if (!offer) return false;
  if (slots_[offer->place].recall(offer->ticket)) {
    books_.recalled(*offer);
    offer_one();
  } else {
    books_.too_late(*offer);
  }
  return true;
}

/// False when there is nothing to hand out, or nobody to hand it to.
bool PoolCore::offer_one() {
  const auto offer = books_.next_offer();
  if (!offer) return false;
  try {
    if (!send(*offer)) return false;
    books_.offered(*offer);
  } catch (const std::system_error& error) {
    if (error.code().value() == EPIPE) {
      hear_out(offer->place);
      replace_missing();
    } else {
      auto reason = std::current_exception();
      fail_tasks({offer->task}, [&](TaskNumber) { return reason; });
    }
  }
  return true;
}

/// Never blocks; false when there is no room.
bool PoolCore::send(const PoolBooks::Offer& offer) {
  Bytes& message = tasks_.at(offer.task).message;
  static_assert(offsetof(TaskHeader, ticket) == 0);
  std::memcpy(message.data(), &offer.ticket, sizeof offer.ticket);
  slots_[offer.place].offer(offer.ticket);
  return places_[offer.place].connection->send_bytes(message, sys::Deadline::immediately());
}

// ---- Messages from workers

/// All that can be done now, and one wait for something to happen: until the deadline, or for the
/// interval in which the workers are looked after.
void PoolCore::take_turn(sys::Deadline deadline) {
  if (postponed_) std::rethrow_exception(std::exchange(postponed_, nullptr));
  if (!leavers_.empty()) reap_leavers();
  replace_missing();
  hand_out();
  if (refused_ && !any_worker()) std::rethrow_exception(refused_);
  if (deadline.is_never()) {
    if (const auto place = only_busy_place()) return wait_for_one(*place);
  }
  wait_for_any(deadline);
}

/// The place of the one worker that has tasks; empty when there are several, or none.
std::optional<std::size_t> PoolCore::only_busy_place() const {
  std::optional<std::size_t> only;
  for (std::size_t place = 0; place < places_.size(); ++place) {
    if (books_.unanswered(place) == 0) continue;
    if (only) return std::nullopt;
    only = place;
  }
  return only;
}

/// One system call when the answer comes.
void PoolCore::wait_for_one(std::size_t place) {
  const auto attempt = receive(place, Connection::Wait::within_patience);
  switch (attempt.met) {
    case Connection::Met::message:
      return take_message(place, attempt.bytes);
    case Connection::Met::end_of_file:
      return bury(place);
    case Connection::Met::nothing:
      return look_after(place);
  }
}

void PoolCore::wait_for_any(sys::Deadline deadline) {
  std::vector<pollfd> entries;
  std::vector<std::size_t> order;
  for (std::size_t place = 0; place < places_.size(); ++place) {
    if (books_.vacant(place)) continue;
    entries.push_back({.fd = places_[place].connection->fileno(), .events = POLLIN, .revents = 0});
    order.push_back(place);
  }
  const auto until = earlier(deadline, sys::Deadline::after(look_after_interval));
  const int ready = poll(entries.data(), entries.size(), until.poll_timeout_ms());
  if (ready == -1 && errno != EINTR) sys::throw_errno(errno, "poll");
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (ready > 0 && entries[i].revents != 0) take_all(order[i]);
    if (ready == 0 && !deadline.passed()) look_after(order[i]);
  }
}

/// All that came from there so far.
void PoolCore::take_all(std::size_t place) {
  // A callback may use the pool, and find the worker dead meanwhile.
  while (!books_.vacant(place)) {
    const auto attempt = receive(place, Connection::Wait::no);
    if (attempt.met == Connection::Met::nothing) return;
    if (attempt.met == Connection::Met::end_of_file) return bury(place);
    take_message(place, attempt.bytes);
  }
}

Connection::Attempt PoolCore::receive(std::size_t place, Connection::Wait wait) {
  try {
    return places_[place].connection->attempt_recv(wait);
  } catch (...) {
    lose_answer(place, std::current_exception());
    return {Connection::Met::nothing, {}};
  }
}

/// An answer that cannot be received (no descriptor or no memory for it): its task ends with that.
void PoolCore::lose_answer(std::size_t place, std::exception_ptr reason) {
  if (books_.unanswered(place) == 0) return;
  const auto number = books_.answered(place, books_.due(place));
  fail_tasks({*number}, [&](TaskNumber) { return reason; });
}

void PoolCore::take_message(std::size_t place, BytesView message) {
  Decoder from(message);
  const auto header = from.get<AnswerHeader>();
  if (header.ticket == 0) {
    initializer_error_ = from.get<RemoteError>().what();
    return;
  }
  const auto number = books_.answered(place, header.ticket);
  if (!number) throw std::logic_error("a worker answered what it was not asked");
  if (header.not_received != 0) {
    auto reason = std::make_exception_ptr(from.get<RemoteError>());
    return fail_tasks({*number}, [&](TaskNumber) { return reason; });
  }
  const auto task = tasks_.extract(*number);
  task.mapped().sink->take(task.mapped().first, task.mapped().count, from);
}

/// For a worker that was not heard of for a while. A process that it started may keep its
/// connection open beyond its death.
void PoolCore::look_after(std::size_t place) {
  if (!books_.vacant(place) && !places_[place].process->is_alive()) hear_out(place);
}

/// Takes what a worker sent before it died, and buries it.
void PoolCore::hear_out(std::size_t place) {
  const auto pid = places_[place].process->pid();
  take_all(place);
  if (!books_.vacant(place) && places_[place].process->pid() == pid) bury(place);
}

// ---- The end

void PoolCore::close() {
  check_owner();
  if (state_ == State::running) state_ = State::closed;
}

void PoolCore::terminate() {
  check_owner();
  state_ = State::terminated;
  end_workers();
  const auto reason = std::make_exception_ptr(PoolTerminated());
  for (const auto& [number, task] : std::exchange(tasks_, {})) {
    books_.drop(number);
    task.sink->abandon(reason);
  }
}

bool PoolCore::join(sys::Deadline deadline) {
  check_owner();
  if (state_ == State::running)
    throw std::logic_error("join of a pool that runs: close() or terminate() it first");
  if (!wait([this] { return tasks_.empty(); }, deadline)) return false;
  tell_all_to_leave();
  return wait_for_leavers(deadline);
}

void PoolCore::tell_all_to_leave() {
  const Bytes leave_message(sizeof(TaskHeader));
  for (std::size_t place = 0; place < places_.size(); ++place) {
    if (books_.vacant(place)) continue;
    try {
      places_[place].connection->send_bytes(leave_message, sys::Deadline::immediately());
    } catch (const std::system_error&) {
      // It has left already.
    }
    retire(place);
  }
}

}  // namespace forkecho::mp::detail
