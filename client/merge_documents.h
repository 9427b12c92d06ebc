// Saved runs, of several processes or machines, told as one. Used by the merge command. Pure.
//
// Decided 2026-11 (what a merged run says): every count and every histogram is the sum, so that it
// says what one run over all samples would have said. Its time is the union of the runs' times:
// runs side by side add up their rates, runs one after the other do not. What cannot be added up
// (the percentiles of a lag, a server's processor time) is the worst, or null: never a mean of
// percentiles.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <vector>

namespace forkecho::client {

/// These runs cannot be one: another workload, a histogram that was not saved. One line without its
/// full stop, which names the run by its place, from 1: "run 2: its …".
struct CannotMerge : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// `runs` are at least one JSON of a run that what_is_wrong_with finds nothing wrong with. Throws
/// CannotMerge.
nlohmann::ordered_json merge_documents(const std::vector<nlohmann::ordered_json>& runs);

}  // namespace forkecho::client
