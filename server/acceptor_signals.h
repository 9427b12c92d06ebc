// AcceptorSignals: the signals that an acceptor hears: those of the supervisor (acceptor.h says
// what each means), and those that tell of a child's end (ended_children.h).
//
// They stay blocked since before the acceptor's fork; its loop sleeps on fd() and takes them in
// batches, so that none is acted on inside a newborn child. Who has ended is noted until it is
// reaped (told). Nothing fails but the making. Not for threads.
#pragma once

#include <array>
#include <csignal>
#include <cstddef>
#include <span>

#include "common/mp/reap.h"
#include "common/sys/descriptor.h"
#include "server/ended_children.h"

namespace forkecho::server {

class AcceptorSignals {
 public:
  /// Taken by one read.
  static constexpr std::size_t at_once = 16;

  /// Every signal is blocked. Throws std::system_error.
  AcceptorSignals();

  /// For a wait alone: polls readable when some are pending.
  int fd() const { return descriptor_.get(); }

  /// Takes at most `at_once` of those that are pending, and calls `handle(number)` for each that
  /// does not tell who has ended. Whether there may be more. Of those that tell, no more are taken
  /// than told() has room for: forget them first.
  template <typename Handle>
  bool read(Handle handle) {
    for (std::size_t i = 0; i < at_once && told_count_ < at_once; ++i) {
      siginfo_t info;
      const int number = take(info);
      if (number < 0) return more_ = false;
      if (const auto ended = exit_told_by(info)) {
        told_[told_count_++] = *ended;
      } else {
        handle(number);
      }
    }
    return more_ = true;
  }
  /// What the last read came to.
  bool more() const { return more_; }

  /// Who has ended, in the order of the signals, since forget_told().
  std::span<const mp::Exit> told() const { return {told_.data(), told_count_}; }
  void forget_told() { told_count_ = 0; }

 private:
  int take(siginfo_t& info) const;

  const sigset_t watched_;
  const sys::Descriptor descriptor_;
  std::array<mp::Exit, at_once> told_;
  std::size_t told_count_ = 0;
  bool more_ = false;
};

}  // namespace forkecho::server
