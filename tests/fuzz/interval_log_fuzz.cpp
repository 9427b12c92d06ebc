// Interval logs (.hlog) of anybody, and the histograms in them.
#include "client/interval_log.h"

#include "client/hdr_encoding.h"
#include "tests/fuzz/target.h"

namespace forkecho::fuzz {
namespace {

using namespace client;

void check_histogram(const HdrHistogram& histogram) {
  std::uint64_t last = 0;
  for (const auto& bucket : histogram.buckets) {
    require(bucket.count > 0, "no bucket is empty");
    require(bucket.index >= last, "buckets are in their order");
    require(bucket.index < histogram.layout.buckets(), "and within the layout");
    last = bucket.index + 1;
  }
  require(histogram.value_at_quantile(1) == histogram.max(), "the last quantile is the largest");
  require(decode_hdr(encode_hdr(histogram)).histogram == histogram,
          "a histogram is written so that it is read as the same");
}

/// Sums of counts could go beyond 64 bits: such logs are not added up.
bool is_small(const std::vector<LogInterval>& intervals) {
  std::uint64_t sum = 0;
  for (const LogInterval& interval : intervals) {
    const std::uint64_t count = interval.histogram.count();
    if (count > (std::uint64_t{1} << 62) - sum) return false;
    sum += count;
  }
  return true;
}

}  // namespace

void fuzz(std::string_view input) {
  const DecodedHdr decoded = decode_hdr(input);
  require(decoded.histogram.has_value() == decoded.error.empty(), "a histogram, or an error");
  if (decoded.histogram) check_histogram(*decoded.histogram);

  const ReadLog log = read_interval_log(input);
  require(log.intervals.empty() != log.error.empty(), "there is an interval, or an error");
  require(log.error.find('\n') == std::string::npos, "an error is one line");
  if (log.intervals.empty() || !is_small(log.intervals)) return;
  std::uint64_t count = 0;
  for (const LogInterval& interval : log.intervals) {
    check_histogram(interval.histogram);
    count += interval.histogram.count();
  }
  const auto merged = merge_logs(log.intervals);
  const ReadLog again =
      read_interval_log(write_interval_log(merged, log.intervals.front().start_s));
  require(again.intervals.size() == merged.size(), "a log is written so that it is read again");
  for (const LogInterval& interval : again.intervals) count -= interval.histogram.count();
  require(count == 0, "and nothing is lost");
}

}  // namespace forkecho::fuzz
