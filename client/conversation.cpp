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

void set_reset_at_close(int socket_fd) {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  sys::check_syscall(setsockopt(socket_fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), "SO_LINGER");
}

std::uint64_t to_count(sys::Duration duration) {
  return static_cast<std::uint64_t>(std::max<sys::Duration::rep>(0, duration.count()));
}

bool is_reset(int error) {
  return error == ECONNRESET || error == EPIPE || error == ECONNABORTED;
}

/// A connect that failed for what the generator lacks.
bool is_own_fault(int error) {
  return error == EADDRNOTAVAIL || error == EMFILE || error == ENFILE;
}

}  // namespace

Conversation::Conversation(WorkerContext& context, Route& route, std::size_t index, Moment begin)
    : context_(context),
      route_(route),
      begin_(begin),
      requests_on_each_(requests_on_each(context.plan)),
      next_exchange_(index % context.exchanges.size()),
      requests_(places_on_each(context.plan)) {
  place_.waiting = &waiting_;
  if (is_open()) context_.pacer.add(place_);
}

void Conversation::start(FirstConnection first) {
  ++context_.talking;
  talk(std::move(first));
}

auto Conversation::pause() {
  const auto length =
      first_failure_pause * (1U << std::min(failures_in_a_row_ - 1, most_doublings));
  const Moment until = std::min(sys::Clock::now() + length, context_.pacer.last_send());
  return context_.loop.until(waiting_, 0, until);
}

Detached Conversation::talk(FirstConnection first) {
  if (begin_ > sys::Clock::now()) co_await context_.loop.until(waiting_, 0, begin_);
  now_ = sys::Clock::now();
  while (first.socket || wants_connection()) {
    if (!first.socket && waits_for_request()) {
      co_await context_.loop.until(waiting_, nudged, Moment::max());
      waiting_.used_up(nudged);
      now_ = sys::Clock::now();
      continue;
    }
    place_.free = false;
    Step step = first.socket ? adopt(std::exchange(first, {})) : connect();
    while (step == Step::wait || step == Step::later) {
      if (step == Step::later) {
        co_await context_.loop.until(waiting_, 0, sys::Clock::now() + retry_pause);
        step = connect();
      } else {
        step = co_await ready(EPOLLOUT) ? finish_connect() : connect_timed_out();
      }
    }
    if (step == Step::done) step = converse();
    while (step == Step::wait) {
      step = go_on(co_await context_.loop.until(waiting_, awaited(), next_deadline()));
    }
    place_.free = false;
    if (step == Step::done) {
      step = close();
      while (step == Step::wait) {
        step = co_await ready(input) ? drain() : close_failed(context_.books.connections_timed_out);
      }
    }
    socket_.reset();
    waiting_.forget();
    // A server that takes connections and ends them at once is not worth a spinning client either.
    if (requests_on_connection_ == 0 && !ending_ && failures_in_a_row_ == 0) failures_in_a_row_ = 1;
    if (failures_in_a_row_ > 0) co_await pause();
    now_ = sys::Clock::now();
  }
  context_.one_ended();
}

// --- whether the run has more to do

/// Where connections are held, another one is for as long as requests may come; in a closed loop a
/// request is taken for it at once, so that no connection is made for nothing.
bool Conversation::wants_connection() {
  if (ticket_) return true;
  if (is_open()) return !context_.pacer.over(now_);
  ticket_ = take();
  return ticket_.has_value();
}

/// Where they are not held, an open loop says when there is a request for another one.
bool Conversation::waits_for_request() {
  if (is_held() || ticket_) return false;
  if (!std::exchange(place_.free, true)) place_.free_since = now_;
  ticket_ = take();
  return !ticket_;
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
    socket_.reset(::socket(route_.target.family(), type, 0));
    if (!socket_) return connect_failed(errno);
    if (!route_.sources.empty() && !route_.sources.bind_next(socket_.get()))
      return connect_failed(errno);
  }
  if (::connect(socket_.get(), route_.target.get(), route_.target.length()) == 0) {
    return connected(sys::Clock::now());
  }
  if (errno == EAGAIN && route_.target.is_unix()) {
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
  if (!route_.target.is_unix()) {
    const int on = 1;
    sys::check_syscall(setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on),
                       "TCP_NODELAY");
  }
  if (!watches_output_) watch(input);
  waiting_.set(EPOLLOUT);
  failures_in_a_row_ = 0;
  requests_on_connection_ = 0;
  in_step_ = true;
  oldest_ = in_flight_ = sent_ = received_ = 0;
  previous_ = nullptr;
  place_.free_since = now;
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
  if (ticket_ && is_open()) context_.pacer.lost(*ticket_, is_own_fault(error));
  ticket_.reset();  // an attempt uses up its request, or a dead server would never end the run
  ++failures_in_a_row_;
  return Step::broken;
}

// --- requests and their replies

/// All that can be done without waiting. Done: nothing is in flight, and no request will follow on
/// this connection.
Conversation::Step Conversation::converse() {
  Step step = Step::done;
  while (step == Step::done) {
    const bool was_sending = is_full();
    if (send_rest() == Step::broken) return Step::broken;
    note_place(was_sending);
    while (may_begin() && begin_request()) {
      if (send_rest() == Step::broken) return Step::broken;
    }
    const bool was_full = is_full();
    step = receive();
    note_place(was_full);
    if (step == Step::broken) return step;
    if (in_flight_ == 0 && (ending_ || !may_follow())) return Step::done;
  }
  return Step::wait;
}

Conversation::Step Conversation::go_on(bool woken) {
  waiting_.used_up(nudged);
  if (!woken || is_open()) {
    now_ = sys::Clock::now();
    if (in_flight_ > 0 && now_ >= oldest().deadline) return request_timed_out();
  }
  return converse();
}

/// Whether this connection may carry another request at all.
bool Conversation::may_follow() const {
  return in_step_ && !waiting_.has(EPOLLRDHUP) &&
         (is_held() || requests_on_connection_ < requests_on_each_);
}

bool Conversation::may_begin() {
  if (ending_ || is_full() || !may_follow()) return false;
  if (context_.plan.think > sys::Duration::zero() && now_ < thinks_until_) return false;
  return true;
}

/// What was taken in the warm-up of a closed loop and is sent after it is another one.
std::optional<Ticket> Conversation::next_ticket() {
  const bool outdated =
      ticket_ && !is_open() && !ticket_->measured && now_ >= context_.clock.measure_start;
  if (ticket_ && !outdated) return std::exchange(ticket_, {});
  ticket_.reset();
  auto ticket = take();
  ending_ = !ticket && context_.pacer.over(now_);
  return ticket;
}

bool Conversation::begin_request() {
  if (is_open() || in_flight_ > 0) now_ = sys::Clock::now();
  place_.free = true;
  const auto ticket = next_ticket();
  if (!ticket) return false;
  const Exchange& exchange = context_.exchanges[next_exchange_];
  next_exchange_ = (next_exchange_ + 1) % context_.exchanges.size();
  ++requests_on_connection_;
  requests_[(oldest_ + in_flight_) % requests_.size()] = {
      .exchange = &exchange,
      .intended = is_open() ? ticket->intended : now_,
      .sent = now_,
      .deadline = now_ + context_.plan.timeout,
      .measured = ticket->measured};
  ++in_flight_;
  sent_ = 0;
  place_.free = false;
  context_.books.total_requests.add(1);
  if (ticket->measured) context_.books.requests_sent.add(1);
  return true;
}

/// What is taken in an open loop is begun at once, be it by connecting. For the lag, and for the
/// test of the arrivals: what the generator made of the plan, without the time for which the server
/// left no place.
std::optional<Ticket> Conversation::take() {
  const auto ticket = context_.pacer.take(place_, now_);
  if (ticket && ticket->measured && is_open()) {
    const auto lag = to_count(now_ - ticket->possible);
    context_.books.lag.record(lag);
    context_.arrivals.note(ticket->number, to_ns(ticket->intended) + lag);
  }
  return ticket;
}

/// A place that was taken until now is free from now on.
void Conversation::note_place(bool was_full) {
  if (was_full && !is_full()) place_.free_since = std::max(now_, thinks_until_);
}

std::uint32_t Conversation::awaited() const {
  return (is_sending() ? input | EPOLLOUT : input) | (is_open() ? nudged : 0);
}

Moment Conversation::next_deadline() const {
  Moment next = in_flight_ > 0 ? requests_[oldest_].deadline : Moment::max();
  if (now_ < thinks_until_ && !ending_ && !is_full()) next = std::min(next, thinks_until_);
  return next;
}

Conversation::Step Conversation::send_rest() {
  if (!is_sending() || !waiting_.has(EPOLLOUT)) return Step::wait;
  const std::string& request = newest().exchange->request;
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
  return sys::Clock::now() < oldest().deadline ? Step::wait : request_timed_out();
}

/// Done: at least one reply is complete.
Conversation::Step Conversation::receive() {
  Step step = Step::wait;
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
    if (count == 0) return ended();
    const auto bytes = static_cast<std::size_t>(count);
    if (bytes < buffer.size()) waiting_.used_up(EPOLLIN);
    if (take_in({buffer.data(), bytes}, now) == Step::done) step = Step::done;
    if (in_flight_ == 0) break;
    if (now >= oldest().deadline) return request_timed_out();
  }
  return step;
}

Conversation::Step Conversation::take_in(std::string_view bytes, Moment now) {
  context_.books.total_bytes_in.add(bytes.size());
  Step step = Step::wait;
  while (!bytes.empty()) {
    if (in_flight_ == 0) {
      out_of_step(context_.books.replies_extra, previous_measured_);
      return Step::done;
    }
    const Request& request = oldest();
    if (received_ == 0 && request.measured)
      context_.books.first_byte.record(to_count(now - request.sent));
    const auto part = bytes.substr(0, request.exchange->reply.size() - received_);
    compare(part);
    bytes.remove_prefix(part.size());
    received_ += part.size();
    if (received_ < request.exchange->reply.size()) break;
    completed(now);
    step = Step::done;
  }
  return step;
}

void Conversation::compare(std::string_view part) {
  matches_ = matches_ && is_at(oldest().exchange->reply, received_, part);
  if (!matches_)
    repeats_ = repeats_ && previous_ != nullptr && is_at(previous_->reply, received_, part);
}

void Conversation::completed(Moment now) {
  WorkerBooks& books = context_.books;
  const Request request = oldest();
  if (request.measured) {
    books.latency.record(to_count(now - request.intended));
    if (is_open()) books.from_send.record(to_count(now - request.sent));
    books.requests_completed.add(1);
    books.replies_checked.add(1);
    books.measured_bytes_out.add(request.exchange->request.size());
    books.measured_bytes_in.add(request.exchange->reply.size());
    books.last_outcome_ns.set(to_ns(now));
  }
  // A reply to a request that the server has not seen whole can only be wrong; the rest is not
  // sent.
  if (in_flight_ == 1 && is_sending()) in_step_ = false;
  if (!matches_) {
    if (request.measured) (repeats_ ? books.replies_extra : books.replies_mismatched).add(1);
    in_step_ = false;
  }
  previous_ = request.exchange;
  previous_measured_ = request.measured;
  oldest_ = (oldest_ + 1) % requests_.size();
  --in_flight_;
  received_ = 0;
  matches_ = repeats_ = true;
  thinks_until_ = now + context_.plan.think;
}

/// Once a connection is out of step, its fault is counted, and what follows from it is not another.
void Conversation::out_of_step(Counter& kind, bool measured) {
  if (std::exchange(in_step_, false) && measured) kind.add(1);
}

/// Takes with it those that were sent after it on the same connection.
Conversation::Step Conversation::request_failed(Counter& kind) {
  bool any_measured = false;
  for (std::size_t i = 0; i < in_flight_; ++i) {
    if (!requests_[(oldest_ + i) % requests_.size()].measured) continue;
    kind.add(1);
    any_measured = true;
  }
  if (any_measured) context_.books.last_outcome_ns.set(to_ns(sys::Clock::now()));
  if (received_ == 0) ++failures_in_a_row_;
  in_flight_ = 0;
  return Step::broken;
}

/// Between requests the server may end a connection.
Conversation::Step Conversation::ended() {
  if (in_flight_ == 0) {
    waiting_.set(EPOLLRDHUP);
    return Step::done;
  }
  if (received_ > 0 && oldest().measured) context_.books.replies_short.add(1);
  return request_failed(context_.books.requests_short);
}

Conversation::Step Conversation::failed_with(int error) {
  if (in_flight_ == 0) {
    measured_ = now_ >= context_.clock.measure_start;
    return close_failed(context_.books.connections_reset);
  }
  if (is_reset(error)) return request_failed(context_.books.requests_reset);
  if (error == ETIMEDOUT) return request_timed_out();
  context_.books.other_error.set(static_cast<std::uint64_t>(error));
  return request_failed(context_.books.requests_other);
}

// --- closing

Conversation::Step Conversation::close() {
  began_ = now_;
  measured_ = began_ >= context_.clock.measure_start;
  deadline_ = began_ + context_.plan.timeout;
  if (context_.plan.close == Close::fin) return half_close();
  set_reset_at_close(socket_.get());
  return Step::done;
}

Conversation::Step Conversation::half_close() {
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
    out_of_step(context_.books.replies_extra, previous_measured_);
    if (now_ >= deadline_) return close_failed(context_.books.connections_timed_out);
  }
}

Conversation::Step Conversation::close_failed(Counter& kind) {
  count(kind);
  return Step::broken;
}

void Conversation::record(LatencyHistogram& histogram, Moment from, Moment until) const {
  if (measured_) histogram.record(to_count(until - from));
}

}  // namespace forkecho::client
