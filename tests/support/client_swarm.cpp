#include "tests/support/client_swarm.h"

#include <algorithm>
#include <csignal>
#include <ostream>

#include "tests/support/eventually.h"
#include "tests/support/test_client.h"

namespace forkecho::tests {
namespace {

using namespace std::chrono_literals;

/// Longer than any drain timeout of the tests, and than the kernel's repeats of a lost SYN.
constexpr auto longest_silence = 15s;
constexpr std::size_t request_size = 64;

sys::Deadline no_longer_than_that() {
  return sys::Deadline::after(longest_silence);
}

/// Request `number` of a client: no two alike, so that a late reply is a wrong one.
std::string make_request(std::uint64_t number, char fill) {
  std::string request = std::to_string(number);
  request.resize(request_size, fill);
  return request;
}

class Client {
 public:
  Client(const SwarmOptions& options, Habit habit, const std::atomic<bool>& told_to_leave,
         ClientCounts& counts)
      : options_(options),
        address_(sys::resolve(options.target).addresses.at(0)),
        habit_(habit),
        told_to_leave_(told_to_leave),
        counts_(counts) {}

  void run() {
    while (!told_to_leave_) {
      const bool content = converse();
      if (!content && !options_.persists) return;
    }
  }

 private:
  /// One connection; false when it was not the client who ended it.
  bool converse() {
    TestClient client(address_, no_longer_than_that());
    if (!client.connected()) {
      ++counts_.not_connected;
      poll(nullptr, 0, 1);  // else a refusing port makes this a busy loop
      return false;
    }
    ++counts_.connected;
    if (habit_ == Habit::silent) {
      poll(nullptr, 0, 2);
      return true;
    }
    const std::uint64_t before = counts_.replies;
    bool content = true;
    do {
      content = exchange(client);
    } while (content && habit_ == Habit::hold && !told_to_leave_);
    if (counts_.replies == before) ++counts_.never_answered;
    if (content && habit_ == Habit::reset) {
      client.reset();
      return true;
    }
    return content && end(client);
  }

  bool exchange(TestClient& client) {
    const std::uint64_t number = ++requests_;
    const Reply reply = ask(client, make_request(number, 'x'));
    counts_.bytes_received += reply.data.size();
    switch (reply.heard) {
      case Heard::all:
        ++(reply.data == make_request(number, 'X') ? counts_.replies : counts_.wrong);
        return true;
      case Heard::end:
        ++(reply.data.empty() ? counts_.unanswered : counts_.cut_short);
        return false;
      case Heard::reset:
        ++counts_.resets;
        return false;
      case Heard::timed_out:
        ++counts_.silent;
        return false;
    }
    return false;
  }

  Reply ask(TestClient& client, const std::string& request) {
    if (habit_ != Habit::half_close) return client.ask(request, no_longer_than_that());
    if (!client.send(request, no_longer_than_that())) return {.heard = Heard::reset, .data = {}};
    client.half_close();
    return client.receive(request.size(), no_longer_than_that());
  }

  bool end(TestClient& client) {
    client.half_close();
    const Reply rest = client.receive_to_end(no_longer_than_that());
    counts_.wrong += !rest.data.empty();
    counts_.resets += rest.heard == Heard::reset;
    counts_.silent += rest.heard == Heard::timed_out;
    return rest.heard == Heard::end;
  }

  const SwarmOptions& options_;
  const sys::SocketAddress address_;
  const Habit habit_;
  const std::atomic<bool>& told_to_leave_;
  ClientCounts& counts_;
  std::uint64_t requests_ = 0;
};

std::vector<Habit> habits_of(const SwarmOptions& options) {
  std::vector<Habit> habits;
  for (const auto& [habit, count] :
       {std::pair(Habit::hold, options.holding), std::pair(Habit::fresh, options.fresh),
        std::pair(Habit::half_close, options.half_closing),
        std::pair(Habit::reset, options.resetting), std::pair(Habit::silent, options.silent)}) {
    habits.insert(habits.end(), count, habit);
  }
  return habits;
}

}  // namespace

ClientSwarm::ClientSwarm(const SwarmOptions& options)
    : habits_(habits_of(options)), counts_(habits_.size()) {
  clients_.reserve(counts_.size());
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const Habit habit = habits_[i];
    mp::Process& client = clients_.emplace_back(
        [this, options, habit, i] { Client(options, habit, *told_to_leave_, counts_[i]).run(); });
    client.set_daemon(true);
    client.start();
  }
}

ClientSwarm::~ClientSwarm() {
  for (mp::Process& client : clients_) {
    client.kill();
    client.join();
  }
}

bool ClientSwarm::wait_for_replies(std::uint64_t replies, sys::Deadline deadline) {
  std::vector<std::uint64_t> goals;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    goals.push_back(habits_[i] == Habit::silent ? 0 : counts_[i].replies + replies);
  }
  return eventually(deadline, [&] {
    for (std::size_t i = 0; i < goals.size(); ++i) {
      const volatile std::uint64_t& now = counts_[i].replies;
      if (now < goals[i]) return false;
    }
    return true;
  });
}

bool ClientSwarm::stop(sys::Deadline deadline) {
  *told_to_leave_ = true;
  return wait(deadline);
}

bool ClientSwarm::wait(sys::Deadline deadline) {
  return std::all_of(clients_.begin(), clients_.end(),
                     [&](mp::Process& client) { return client.join(deadline); });
}

ClientCounts ClientSwarm::totals() const {
  ClientCounts totals{};
  for (const ClientCounts& counts : counts_.all()) {
    totals.connected += counts.connected;
    totals.not_connected += counts.not_connected;
    totals.replies += counts.replies;
    totals.wrong += counts.wrong;
    totals.cut_short += counts.cut_short;
    totals.unanswered += counts.unanswered;
    totals.silent += counts.silent;
    totals.resets += counts.resets;
    totals.never_answered += counts.never_answered;
    totals.bytes_received += counts.bytes_received;
  }
  return totals;
}

void PrintTo(const ClientCounts& counts, std::ostream* out) {
  *out << "connected " << counts.connected << ", not connected " << counts.not_connected
       << ", replies " << counts.replies << ", wrong " << counts.wrong << ", cut short "
       << counts.cut_short << ", unanswered " << counts.unanswered << ", silent " << counts.silent
       << ", resets " << counts.resets << ", never answered " << counts.never_answered << ", bytes "
       << counts.bytes_received;
}

}  // namespace forkecho::tests
