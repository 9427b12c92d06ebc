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
#include "server/client_source.h"
#include "server/connection_title.h"
#include "server/serve_connection.h"
#include "server/shortage.h"
#include "server/worker.h"

namespace forkecho::server {
namespace {

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
        pages_(context.pages),
        elders_(context.elders),
        book_(context.page().book),
        slot_(context.page().slot),
        serve_options_{.transform = options_.transform, .timeouts = options_.timeouts},
        life_(choose_life(options_)) {
    install_worker_signals(finish_current_connection);
    slot_.pid.store(getpid(), std::memory_order_relaxed);
    become_idle();
    context.page().door.store(Door::open, std::memory_order_release);
    mp::accept_signals();
  }

  void run() {
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
    ++served_;
    become_busy(client.peer);
    if (is_one_too_many()) {
      close_in_order(client.socket.get());
      book_.record(Refusal::full);
    } else {
      FORKECHO_MP_STEP("worker.serve.begun");
      const Ending ending = serve_connection(client.socket.get(), serve_options_, slot_.meter);
      FORKECHO_MP_STEP("worker.serve.ended");
      book_.record(ending);
    }
    client.socket.reset();
    become_idle();
  }

  /// With --when-full refuse the pool has one worker more than it may serve connections; whoever
  /// finds all the others busy turns its client away. Counting is by looking, so that no count can
  /// be left wrong by a worker that was killed: the supervisor clears a dead worker's slot.
  bool is_one_too_many() const {
    if (options_.when_full == WhenFull::wait || options_.mode != Mode::pool) return false;
    std::uint64_t serving = serving_in(pages_);
    for (const auto& elder : elders_) serving += serving_in(*elder);
    return serving > std::min<std::uint64_t>(options_.max_connections, options_.pool.max);
  }

  static std::uint64_t serving_in(const GenerationPages& pages) {
    std::uint64_t serving = 0;
    for (const ProcessPage& page : pages.all()) {
      serving += page.slot.state.load(std::memory_order_seq_cst) == SlotState::serving;
    }
    return serving;
  }

  void become_busy(const PeerAddress& peer) {
    slot_.peer = peer;
    slot_.connections.add(1);
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
  mp::RawArray<ProcessPage>& pages_;
  const Elders& elders_;
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
  PoolWorker(context).run();
}

}  // namespace forkecho::server
