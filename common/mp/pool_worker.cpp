#include "common/mp/pool_worker.h"

#include <cerrno>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "common/mp/remote_error.h"
#include "common/mp/step.h"
#include "common/mp/task.h"

namespace forkecho::mp::detail {

void WorkerSlot::offer(std::uint64_t ticket) {
  word(ticket).store(value(ticket, offered), std::memory_order_release);
}

bool WorkerSlot::turn(std::uint64_t ticket, State to) {
  std::uint64_t expected = value(ticket, offered);
  return word(ticket).compare_exchange_strong(expected, value(ticket, to),
                                              std::memory_order_acq_rel);
}

bool WorkerSlot::recall(std::uint64_t ticket) {
  return turn(ticket, recalled);
}

bool WorkerSlot::begin(std::uint64_t ticket) {
  return turn(ticket, begun_state);
}

bool WorkerSlot::begun(std::uint64_t ticket) const {
  return words_[ticket % words].load(std::memory_order_acquire) == value(ticket, begun_state);
}

bool WorkerSlot::was_recalled(std::uint64_t ticket) const {
  return words_[ticket % words].load(std::memory_order_acquire) == value(ticket, recalled);
}

namespace {

/// False when the initializer threw; the maker was told.
bool initialise(const WorkerPlan& plan) {
  FORKECHO_MP_STEP("pool.worker.born");
  if (plan.initializer != nullptr && *plan.initializer) {
    plan.slot->set_stage(WorkerSlot::Stage::initialising);
    try {
      (*plan.initializer)();
    } catch (...) {
      Encoder answer;
      answer.put(AnswerHeader{.ticket = 0});
      answer.put(RemoteError::of_current_exception());
      plan.connection->send_bytes(answer.view());
      return false;
    }
  }
  plan.slot->set_stage(WorkerSlot::Stage::ready);
  FORKECHO_MP_STEP("pool.worker.ready");
  return true;
}

/// Why `answer` could not be sent; empty when it was. EPIPE, for which there is nobody to tell, is
/// thrown.
std::optional<RemoteError> failure_to_send(Connection& connection, const Encoder& answer) {
  try {
    connection.send_bytes(answer.view());
    return std::nullopt;
  } catch (const std::system_error& error) {
    if (error.code().value() == EPIPE) throw;
    return RemoteError::of_current_exception();
  } catch (const std::length_error&) {
    return RemoteError::of_current_exception();
  }
}

/// An answer that cannot be sent (too long, no memory for it) becomes an error that can.
void send_answer(Connection& connection, const TaskHeader& task, const Encoder& answer) {
  const auto failure = failure_to_send(connection, answer);
  if (!failure) return;
  Encoder instead;
  instead.put(AnswerHeader{.ticket = task.ticket});
  answer_with_error(*failure, task.calls, instead);
  connection.send_bytes(instead.view());
}

enum class Answered { yes, no };

/// In a handler of what a receive threw: answers it as the error of the task with `ticket`, whose
/// message is lost with it (no descriptor or no memory for a large one). Throws it again when there
/// is no such task.
Answered answer_not_received(const WorkerPlan& plan, std::uint64_t ticket) {
  const RemoteError error = RemoteError::of_current_exception();
  if (!plan.slot->begin(ticket)) {
    if (!plan.slot->was_recalled(ticket)) throw;
    return Answered::no;
  }
  Encoder answer;
  answer.put(AnswerHeader{.ticket = ticket, .not_received = 1});
  answer.put(error);
  plan.connection->send_bytes(answer.view());
  return Answered::yes;
}

/// Works on tasks until told to leave.
void serve_tasks(const WorkerPlan& plan) {
  Connection& connection = *plan.connection;
  plan.slot->set_stage(WorkerSlot::Stage::serving);
  std::uint64_t next_ticket = plan.first_ticket;
  for (unsigned done = 0; plan.tasks == 0 || done < plan.tasks;) {
    Connection::Attempt message{};
    try {
      message = connection.attempt_recv(Connection::Wait::within_patience);
    } catch (...) {
      done += answer_not_received(plan, next_ticket++) == Answered::yes ? 1 : 0;
      continue;
    }
    if (message.met == Connection::Met::end_of_file) return;
    if (message.met == Connection::Met::nothing) continue;
    Decoder from(message.bytes);
    const auto task = from.get<TaskHeader>();
    if (task.trampoline == nullptr) return;
    next_ticket = task.ticket + 1;
    FORKECHO_MP_STEP("pool.worker.received");
    if (!plan.slot->begin(task.ticket)) continue;
    FORKECHO_MP_STEP("pool.worker.begun");
    Encoder answer;
    answer.put(AnswerHeader{.ticket = task.ticket});
    task.trampoline(task.function, task.calls, from, answer);
    FORKECHO_MP_STEP("pool.worker.called");
    send_answer(connection, task, answer);
    FORKECHO_MP_STEP("pool.worker.answered");
    ++done;
  }
}

}  // namespace

int serve_pool(const WorkerPlan& plan) {
  try {
    if (!initialise(plan)) return 1;
    serve_tasks(plan);
    return 0;
  } catch (const std::system_error& error) {
    if (error.code().value() == EPIPE) return 0;  // the maker is gone
    throw;
  }
}

}  // namespace forkecho::mp::detail
