// run_comparison: measures several servers with the same load, in interleaved rounds. Called by the
// compare command.
//
// Decided 2026-11 (the generator's verdict in a comparison): a closed loop on the servers' own
// machine always fills a processor, the server's or its own, and `load` calls a run in which it was
// its own INVALID. A comparison says that as a note to each design it befell, and goes on: its
// rates are the pair's capacity, which every design shares with the same generator, and processor
// time per connection is the server's alone. What leaves the plan undone in any other way (no free
// ports, no descriptors, a worker that died) makes the comparison INVALID.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "client/comparison.h"
#include "client/load_plan.h"
#include "client/server_design.h"

namespace forkecho::client {

/// A server that runs already.
struct NamedTarget {
  std::string name;
  std::string address;
};
/// "name=ADDRESS,name=ADDRESS"; empty when a part is not of this form, or a name comes twice.
std::optional<std::vector<NamedTarget>> parse_named_targets(std::string_view text);

/// "fork,event"; empty when a name is no design or comes twice.
std::optional<std::vector<const ServerDesign*>> parse_designs(std::string_view text);

struct ComparisonPlan {
  std::vector<const ServerDesign*> designs;  // to start; or else
  std::vector<NamedTarget> targets;          // those that run
  std::filesystem::path server_program;      // forkechod, for designs
  LoadPlan slice;                            // of one design in one round; its target is not read
  unsigned rounds = 9;                       // an interval of 99 % needs eight
};

/// Who wants to see how far it is. Called before each slice.
class ComparisonProgress {
 public:
  virtual ~ComparisonProgress() = default;
  virtual void slice_begins(unsigned round, unsigned rounds, const std::string& name) = 0;
};

/// Starts every server, makes the rounds, stops them. When a signal interrupts it, the rounds that
/// were complete by then are the result. Throws ServerCannotStart, NothingAnswered,
/// MalformedTarget, std::system_error; whatever happens, no server, socket or file is left.
/// `progress` may be null.
Comparison run_comparison(const ComparisonPlan& plan, ComparisonProgress* progress);

}  // namespace forkecho::client
