#include "server/pool_worker.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string_view>

#include "common/mp/fork.h"
#include "common/mp/step.h"
#include "common/sys/process_title.h"
#include "server/access_log.h"
#include "server/client_source.h"
#include "server/connection_title.h"
#include "server/gate.h"
#include "server/serve_connection.h"
#include "server/shortage.h"
#include "server/worker.h"

namespace forkecho::server {
namespace {

constexpr auto longest_wait_for_gate = std::chrono::milliseconds(100);

/// Where clients wait, the limit is kept by there being no more workers. With --when-full refuse
/// the pool has one more than it may serve connections; whoever finds all the others busy turns its
/// client away.
std::uint64_t limit_of(const Options& options) {
  if (options.mode != Mode::pool || options.when_full == WhenFull::wait) return 0;
  return std::min<std::uint64_t>(options.max_connections, options.pool.max);
}

/// Connections that this worker serves before it is replaced; 0: no limit. The jitter keeps workers
/// that were started together from being replaced together.
std::uint64_t choose_life(const Options& options) {
  const std::uint64_t life = options.connections_per_worker_life;
  const std::uint64_t jitter = std::min(options.life_jitter, life > 0 ? life - 1 : 0);
  if (jitter == 0) return life;
  std::minstd_rand random(static_cast<unsigned>(getpid()) ^
                          static_cast<unsigned>(sys::Clock::now().time_since_epoch().count()));
  return life - std::uniform_int_distribution<std::uint64_t>(0, jitter)(random);
}

class PoolWorker {
 public:
  explicit PoolWorker(const ProcessContext& context)
      : options_(context.options),
        source_(make_client_source(context)),
        gate_(context, Accepting::blocks, limit_of(options_)),
        door_(context.page().door),
        page_(context.page()),
        book_(page_.book),
        slot_(context.page().slot),
        serve_options_{.transform = options_.transform,
                       .timeouts = options_.timeouts,
                       .stress = context.pages.admission.stress_word()},
        life_(choose_life(options_)) {
    install_worker_signals(finish_current_connection);
    slot_.pid.store(getpid(), std::memory_order_relaxed);
    become_idle();
    mp::accept_signals();
  }

  void run() {
    door_.store(Door::open, std::memory_order_release);
    while (!life_is_over()) {
      bool closed = false;
      AcceptedClient client = next_client(closed);
      if (client.socket) {
        serve(std::move(client));
      } else if (closed || current_wish() >= Wish::retire) {
        return;  // nobody waits, and nobody needs us
      }
    }
  }

 private:
  bool life_is_over() const {
    // Whoever was told to drain empties the queue first, whatever its age, unless others do.
    return retired() || (life_ != 0 && served_ >= life_ && current_wish() < Wish::drain);
  }

  /// The next client, or none after a signal or a pause.
  AcceptedClient next_client(bool& closed) {
    while (gate_.before_accept().verdict != Admission::Verdict::admit) {
      wait_for_gate();
      if (retired()) return {};
    }
    AcceptResult accepted = source_->next();
    if (accepted.outcome == AcceptResult::Outcome::client) {
      FORKECHO_MP_STEP("worker.accept.taken");
      book_.accepted.add(1);
    }
    if (accepted.outcome == AcceptResult::Outcome::exhausted) pause(accepted.error);
    closed = accepted.outcome == AcceptResult::Outcome::closed;
    return std::move(accepted.client);
  }

  /// A signal ends the pause.
  void pause(int error) {
    if (error == EMFILE && spare_.give_up()) return;
    warning_.tell("cannot accept", error, "clients wait in the queue");
    poll(nullptr, 0, static_cast<int>(Shortage::pause.count()));
  }

  void serve(AcceptedClient client) {
    const Admission admission = admit(client.peer);
    if (admission.verdict == Admission::Verdict::refuse)
      return gate_.refuse(std::move(client), admission.reason);
    ++served_;
    serve_behind(&door_);
    become_busy(client.peer);
    FORKECHO_MP_STEP("worker.serve.begun");
    const Ending ending = serve_connection(client.socket.get(), serve_options_, slot_.meter);
    FORKECHO_MP_STEP("worker.serve.ended");
    book_ending(
        page_, [&] { return describe(outcome_of(ending)); }, [&] { book_.record(ending); });
    client.socket.reset();
    gate_.ended(gate_.source());
    become_idle();
    serve_behind(nullptr);
  }

  AccessEntry describe(AccessOutcome outcome) const {
    return describe_connection(slot_, AccessRole::worker, outcome, page_.journal.meter_before);
  }

  /// Whoever blocks in accept learns only with the client that it should have waited; the client
  /// waits with it, as it would have in the queue.
  Admission admit(const PeerAddress& peer) {
    for (;;) {
      const Admission admission = gate_.decide(peer);
      if (admission.verdict == Admission::Verdict::admit ||
          admission.verdict == Admission::Verdict::refuse)
        return admission;
      wait_for_gate();
    }
  }

  /// A signal ends the wait, too.
  void wait_for_gate() {
    // A signal that comes between the check and the wait is repeated, or found after a moment.
    const auto moment = sys::Deadline::after(longest_wait_for_gate);
    poll(nullptr, 0, earlier(gate_.look_again(), moment).poll_timeout_ms());
    if (current_wish() >= Wish::drain) gate_.set_closing(Closing::draining);
  }

  void become_busy(const PeerAddress& peer) {
    slot_.peer = peer;
    slot_.connections.add(1);
    if (has_access_log()) page_.journal.meter_before = slot_.meter.read();
    slot_.enter(SlotState::serving);
    show_in_title(peer);
  }

  void become_idle() {
    slot_.peer = {};
    slot_.enter(SlotState::idle);
    sys::set_process_title(options_.mode == Mode::pool ? "forkechod: worker, idle"
                                                       : "forkechod: iterative server, idle");
  }

  const Options& options_;
  const std::unique_ptr<ClientSource> source_;
  Gate gate_;
  std::atomic<Door>& door_;
  ProcessPage& page_;
  Book& book_;
  Slot& slot_;
  const ServeOptions serve_options_;
  const std::uint64_t life_;
  std::uint64_t served_ = 0;
  RepeatedWarning warning_;
  SpareDescriptor spare_;
};

}  // namespace

void run_pool_worker(const ProcessContext& context) {
  settle_in(context, "worker");
  PoolWorker worker(context);
  restrict_calls(context, context.passing != nullptr ? Role::passed_worker : Role::worker);
  worker.run();
}

}  // namespace forkecho::server
