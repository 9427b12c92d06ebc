// What the processes of one generation share to decide on admissions together, beside their pages.
// Made by the supervisor before they are forked; each part only where its option is on, so that it
// costs nothing else where it is off.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "common/mp/raw_shared.h"
#include "server/options.h"
#include "server/source_table.h"

namespace forkecho::server {

/// Words that every process of the generation may write. Nonsense in them slows admissions by no
/// more than the accept rate, and can hide a line of the log.
struct AdmissionWords {
  std::atomic<std::int64_t> next_due;     // accept_rate.h
  std::atomic<std::int64_t> quiet_until;  // until then no first line about a refusal is logged
};

struct AdmissionMemory {
  AdmissionMemory() = default;
  /// `tables`: one for each seat, and one more, the supervisor's, for adopted children.
  AdmissionMemory(const Options& options, std::size_t tables) {
    const AdmissionOptions& admission = options.admission;
    const bool one_each =
        (options.mode == Mode::pool || options.mode == Mode::iterative) && !forks_children(options);
    if (admission.max_per_source != 0)
      sources.emplace(tables, one_each ? 1 : options.max_connections);
    if (admission.max_per_source != 0 || admission.accept_rate != 0 ||
        options.when_full == WhenFull::refuse)
      words.emplace();
    if (options.timeouts.stress != sys::Duration::zero()) stress.emplace();
  }

  /// The supervisor's word that all are busy; null: it never says so.
  const std::atomic<bool>* stress_word() const { return stress ? &**stress : nullptr; }

  /// Children forked from now on have nothing of it but the word of stress.
  void keep_from_children() {
    if (sources) sources->keep_from_children();
    if (words) words->memory().keep_from_children();
  }

  std::optional<SourceTables> sources;
  std::optional<mp::RawValue<AdmissionWords>> words;
  std::optional<mp::RawValue<std::atomic<bool>>> stress;  // the supervisor's; stress.h
};

}  // namespace forkecho::server
