#include "client/conversation.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t input = EPOLLIN | EPOLLRDHUP;
constexpr auto retry_pause = 1ms;  // a unix listener's backlog is full: there is no event for it
constexpr auto first_failure_pause = 10ms;  // doubled with each failure in a row,
constexpr unsigned most_doublings = 7;  // to 1.28 s: a dead server is not worth a spinning client

/// Whether `part` is what `whole` has at `offset`, as far as whole goes.
bool is_at(std::string_view whole, std::size_t offset, std::string_view part) {
  return offset < whole.size() &&
         whole.substr(offset, part.size()) == part.substr(0, whole.size() - offset);
}

bool is_reset(int error) {
  return error == ECONNRESET || error == EPIPE || error == ECONNABORTED;
}

}  // namespace

Conversation::Conversation(WorkerContext& context, std::size_t index)
    : context_(context), next_exchange_(index % context.exchanges.size()) {}

void Conversation::start(FirstConnection first) {
  ++context_.talking;
  talk(std::move(first));
}

auto Conversation::pause() {
  const auto length =
      first_failure_pause * (1U << std::min(failures_in_a_row_ - 1, most_doublings));
  const Moment until = std::min(sys::Clock::now() + length, context_.clock.measure_end);
  return context_.loop.until(waiting_, 0, until);
}

Detached Conversation::talk(FirstConnection first) {
  now_ = sys::Clock::now();
  while (wants_connection(now_)) {
    Step step = first.socket ? adopt(std::exchange(first, {})) : connect();
    while (step == Step::wait || step == Step::later) {
      if (step == Step::later) {
        co_await context_.loop.until(waiting_, 0, sys::Clock::now() + retry_pause);
        step = connect();
      } else {
        step = co_await ready(EPOLLOUT) ? finish_connect() : connect_timed_out();
      }
    }
    while (step == Step::done && begin_request()) {
      step = exchange();
      while (step == Step::wait)
        step = co_await ready(awaited()) ? exchange() : request_timed_out();
    }
    if (step == Step::done) {
      step = half_close();
      while (step == Step::wait) {
        step = co_await ready(input) ? drain() : close_failed(context_.books.connections_timed_out);
      }
    }
    socket_.reset();
    if (failures_in_a_row_ > 0) co_await pause();
    now_ = sys::Clock::now();
  }
  if (--context_.talking == 0) context_.loop.stop();
}

// --- whether the run has more to do

bool Conversation::take_request() {
  if (has_request_) return true;
  has_request_ = context_.control.requests_taken.fetch_add(1, std::memory_order_relaxed) <
                 context_.plan.requests;
  return has_request_;
}

bool Conversation::wants_request(Moment now) {
  if (context_.control.stop.load(std::memory_order_relaxed)) return false;
  if (context_.plan.requests == 0) return now < context_.clock.measure_end;
  return now < context_.clock.measure_start || take_request();
}

bool Conversation::wants_connection(Moment now) {
  return wants_request(now);
}

// --- connecting

Conversation::Step Conversation::adopt(FirstConnection first) {
  socket_ = std::move(first.socket);
  watches_output_ = false;
  began_ = now_ - first.connect_time;
  measured_ = now_ >= context_.clock.measure_start;
  return connected(now_);
}

Conversation::Step Conversation::connect() {
  if (!socket_) {
    began_ = now_;
    deadline_ = began_ + context_.plan.timeout;
    measured_ = began_ >= context_.clock.measure_start;
    watches_output_ = false;
    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    socket_.reset(::socket(context_.target.family(), type, 0));
    if (!socket_) return connect_failed(errno);
    if (!context_.sources.empty() && !context_.sources.bind_next(socket_.get()))
      return connect_failed(errno);
  }
  if (::connect(socket_.get(), context_.target.get(), context_.target.length()) == 0) {
    return connected(sys::Clock::now());
  }
  if (errno == EAGAIN && context_.target.is_unix()) {
    return sys::Clock::now() < deadline_ ? Step::later : connect_timed_out();
  }
  if (errno != EINPROGRESS) return connect_failed(errno);
  // On loopback the handshake is over when connect returns: asking once saves a turn of the loop.
  pollfd entry{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
  if (poll(&entry, 1, 0) == 1) return finish_connect();
  watch(input | EPOLLOUT);
  return Step::wait;
}

Conversation::Step Conversation::finish_connect() {
  int error = 0;
  socklen_t length = sizeof error;
  sys::check_syscall(getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length),
                     "getsockopt");
  return error == 0 ? connected(sys::Clock::now()) : connect_failed(error);
}

Conversation::Step Conversation::connected(Moment now) {
  now_ = now;
  count(context_.books.connections_opened);
  context_.books.total_connections.add(1);
  record(context_.books.connect, began_, now);
  if (!context_.target.is_unix()) {
    const int on = 1;
    sys::check_syscall(setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on),
                       "TCP_NODELAY");
  }
  if (!watches_output_) watch(input);
  waiting_.set(EPOLLOUT);
  failures_in_a_row_ = 0;
  requests_on_connection_ = 0;
  in_step_ = true;
  return Step::done;
}

void Conversation::watch(std::uint32_t events) {
  waiting_.forget();
  context_.loop.watch(socket_.get(), waiting_, events);
  watches_output_ = (events & EPOLLOUT) != 0;
}

Conversation::Step Conversation::connect_timed_out() {
  return connect_failed(ETIMEDOUT);
}

Conversation::Step Conversation::connect_failed(int error) {
  WorkerBooks& books = context_.books;
  if (error == ECONNREFUSED || error == ENOENT) {
    count(books.connections_refused);
  } else if (error == ETIMEDOUT) {
    count(books.connections_timed_out);
  } else if (is_reset(error)) {
    count(books.connections_reset);
  } else {
    count(books.connections_other);
    books.other_error.set(static_cast<std::uint64_t>(error));
    if (error == EADDRNOTAVAIL) books.ports_exhausted.add(1);
    if (error == EMFILE || error == ENFILE) books.descriptors_exhausted.add(1);
  }
  if (measured_)
    has_request_ =
        false;  // an attempt uses up its request, or a dead server would never end the run
  ++failures_in_a_row_;
  return Step::broken;
}

// --- a request and its reply

bool Conversation::begin_request() {
  const bool single = context_.plan.workload == Workload::crr;
  if (!in_step_ || waiting_.has(EPOLLRDHUP)) return false;
  if (single ? requests_on_connection_ > 0 : !wants_request(now_)) return false;
  if (!single) measured_ = now_ >= context_.clock.measure_start;
  if (measured_) has_request_ = false;
  ++requests_on_connection_;
  previous_ = requests_on_connection_ > 1 ? current_ : nullptr;
  current_ = &context_.exchanges[next_exchange_];
  next_exchange_ = (next_exchange_ + 1) % context_.exchanges.size();
  sent_ = received_ = 0;
  matches_ = repeats_ = true;
  began_ = now_;
  deadline_ = began_ + context_.plan.timeout;
  count(context_.books.requests_sent);
  context_.books.total_requests.add(1);
  return true;
}

std::uint32_t Conversation::awaited() const {
  return sent_ < current_->request.size() ? input | EPOLLOUT : input;
}

Conversation::Step Conversation::exchange() {
  const Step step = send_rest();
  return step == Step::broken ? step : receive_rest();
}

Conversation::Step Conversation::send_rest() {
  const std::string& request = current_->request;
  if (sent_ == request.size() || !waiting_.has(EPOLLOUT)) return Step::wait;
  const ssize_t sent = sys::retry_on_interrupt([&] {
    return ::send(socket_.get(), request.data() + sent_, request.size() - sent_, MSG_NOSIGNAL);
  });
  if (sent == -1 && errno != EAGAIN) return failed_with(errno);
  if (sent > 0) {
    sent_ += static_cast<std::size_t>(sent);
    context_.books.total_bytes_out.add(static_cast<std::uint64_t>(sent));
  }
  if (sent_ == request.size()) return Step::wait;
  waiting_.used_up(EPOLLOUT);
  if (!watches_output_) {
    watches_output_ = true;
    context_.loop.watch_also(socket_.get(), waiting_, input | EPOLLOUT);
  }
  // A server that takes in a byte now and then keeps the socket ready, and its deadline must still
  // hold.
  return sys::Clock::now() < deadline_ ? Step::wait : request_timed_out();
}

Conversation::Step Conversation::receive_rest() {
  while (waiting_.has(input | EPOLLERR | EPOLLHUP)) {
    auto& buffer = context_.buffer;
    const ssize_t count = sys::retry_on_interrupt(
        [&] { return ::recv(socket_.get(), buffer.data(), buffer.size(), 0); });
    if (count == -1 && errno == EAGAIN) {
      waiting_.used_up(input | EPOLLERR | EPOLLHUP);
      break;
    }
    const Moment now = sys::Clock::now();
    now_ = now;
    if (count == -1) return failed_with(errno);
    if (count == 0) return ended_early();
    const auto bytes = static_cast<std::size_t>(count);
    if (bytes < buffer.size()) waiting_.used_up(EPOLLIN);
    if (const Step step = take_in(bytes, now); step != Step::wait) return step;
  }
  return Step::wait;
}

Conversation::Step Conversation::take_in(std::size_t bytes, Moment now) {
  context_.books.total_bytes_in.add(bytes);
  if (received_ == 0) record(context_.books.first_byte, began_, now);
  const std::string& reply = current_->reply;
  const std::size_t wanted = std::min(bytes, reply.size() - received_);
  const std::string_view part(context_.buffer.data(), wanted);
  matches_ = matches_ && is_at(reply, received_, part);
  if (!matches_)
    repeats_ = repeats_ && previous_ != nullptr && is_at(previous_->reply, received_, part);
  received_ += wanted;
  if (received_ < reply.size()) return now < deadline_ ? Step::wait : request_timed_out();
  if (bytes > wanted) {
    count(context_.books.replies_extra);
    in_step_ = false;
  }
  return completed(now);
}

Conversation::Step Conversation::completed(Moment now) {
  WorkerBooks& books = context_.books;
  record(books.latency, began_, now);
  count(books.requests_completed);
  count(books.replies_checked);
  note_outcome(now);
  if (!matches_) {
    count(repeats_ ? books.replies_extra : books.replies_mismatched);
    in_step_ = false;
  }
  // A reply to a request that the server has not seen whole can only be wrong; the rest is not
  // sent.
  if (sent_ < current_->request.size()) in_step_ = false;
  return Step::done;
}

Conversation::Step Conversation::request_failed(Counter& kind) {
  count(kind);
  note_outcome(sys::Clock::now());
  if (received_ == 0) ++failures_in_a_row_;
  return Step::broken;
}

Conversation::Step Conversation::ended_early() {
  if (received_ > 0) count(context_.books.replies_short);
  return request_failed(context_.books.requests_short);
}

Conversation::Step Conversation::failed_with(int error) {
  if (is_reset(error)) return request_failed(context_.books.requests_reset);
  if (error == ETIMEDOUT) return request_timed_out();
  context_.books.other_error.set(static_cast<std::uint64_t>(error));
  return request_failed(context_.books.requests_other);
}

// --- closing

Conversation::Step Conversation::half_close() {
  began_ = now_;
  deadline_ = began_ + context_.plan.timeout;
  if (::shutdown(socket_.get(), SHUT_WR) != 0)
    return close_failed(context_.books.connections_reset);
  return waiting_.has(input | EPOLLERR | EPOLLHUP) ? drain() : Step::wait;
}

Conversation::Step Conversation::drain() {
  auto& buffer = context_.buffer;
  for (;;) {
    const ssize_t bytes = sys::retry_on_interrupt(
        [&] { return ::recv(socket_.get(), buffer.data(), buffer.size(), 0); });
    if (bytes == -1 && errno == EAGAIN) {
      waiting_.used_up(input);
      return Step::wait;
    }
    if (bytes == -1) return close_failed(context_.books.connections_reset);
    now_ = sys::Clock::now();
    if (bytes == 0) {
      record(context_.books.close, began_, now_);
      return Step::done;
    }
    context_.books.total_bytes_in.add(static_cast<std::uint64_t>(bytes));
    // Once a connection is out of step, its fault is counted, and what follows from it is not
    // another.
    if (std::exchange(in_step_, false)) count(context_.books.replies_extra);
    if (now_ >= deadline_) return close_failed(context_.books.connections_timed_out);
  }
}

Conversation::Step Conversation::close_failed(Counter& kind) {
  count(kind);
  return Step::broken;
}

void Conversation::record(LatencyHistogram& histogram, Moment from, Moment until) const {
  if (measured_)
    histogram.record(static_cast<std::uint64_t>(std::max<Moment::rep>(0, (until - from).count())));
}

void Conversation::note_outcome(Moment now) {
  if (measured_) context_.books.last_outcome_ns.set(to_ns(now));
}

}  // namespace forkecho::client
