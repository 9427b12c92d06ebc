// Sizes of requests as users write them.
#include "client/size_distribution.h"
#include "tests/fuzz/target.h"

namespace forkecho::fuzz {

void fuzz(std::string_view input) {
  const auto sizes = client::SizeDistribution::parse(input);
  if (!sizes) return;
  const auto again = client::SizeDistribution::parse(sizes->to_string());
  require(again && again->to_string() == sizes->to_string(),
          "sizes are written so that they are read as the same");
  const auto drawn = sizes->draw();
  require(drawn.size() >= 2, "a set has at least two requests");
  for (const std::size_t size : drawn)
    require(size >= 1 && size <= client::largest_request, "a size is within its limits");
}

}  // namespace forkecho::fuzz
