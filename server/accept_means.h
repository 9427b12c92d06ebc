// What the supervisor makes for --accept and keeps, so that it outlives whoever uses it: the lock
// under which workers take turns, or the pipe through which connections are passed to them.
//
// The supervisor never takes the lock, and of the pipe it only asks whether somebody is in it.
#pragma once

#include <memory>
#include <optional>

#include "common/mp/connection.h"
#include "common/mp/lock.h"
#include "server/options.h"
#include "server/process_context.h"

namespace forkecho::server {

class AcceptMeans {
 public:
  explicit AcceptMeans(const Options& options) {
    if (options.mode == Mode::pool && options.accept == Accept::lock) renew_lock();
    if (passes_connections(options)) pipe_.emplace(mp::Duplex::no);
  }

  bool has_lock() const { return lock_ != nullptr; }
  /// For workers started from now on; the others go on with the one that they have.
  void renew_lock() { lock_ = std::make_unique<mp::Lock>(); }

  bool has_pipe() const { return pipe_.has_value(); }
  /// Connections were passed on that no worker has taken yet.
  bool somebody_in_pipe() const { return pipe_ && pipe_->first.poll(); }

  /// Gives a process what it needs: the one that passes, or one that serves.
  void equip(ProcessContext& context, bool passes) {
    context.accept_lock = lock_.get();
    if (pipe_) context.passing = passes ? &pipe_->second : &pipe_->first;
    if (pipe_ && !passes) context.listeners = {};
  }

 private:
  std::unique_ptr<mp::Lock> lock_;
  std::optional<mp::Pipe> pipe_;
};

}  // namespace forkecho::server
