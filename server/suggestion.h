// Suggestion: which of the known names somebody meant who wrote another. Pure; used where a
// configuration file has an unknown option.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace forkecho::server {

/// The fewest insertions, deletions, replacements and swaps of neighbours that make `left` of
/// `right` (optimal string alignment: no part is edited twice).
std::size_t edit_distance(std::string_view left, std::string_view right);

/// The one of `known` that is nearest to `name`, the first where several are; empty when none is so
/// near that it may have been meant (a third of its letters, at least 2, may differ).
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

}  // namespace forkecho::server
