#include "client/histogram_json.h"

#include <nlohmann/json.hpp>

#include "client/hdr_encoding.h"

namespace forkecho::client {
namespace {

using Json = nlohmann::ordered_json;

std::optional<std::uint64_t> natural(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

ReadHistogram wrong(std::string what) {
  return {.histogram = {}, .error = std::move(what)};
}

/// Whether the exact values fit the buckets.
bool agree(const LatencyHistogram& histogram, std::uint64_t min, std::uint64_t max) {
  const auto same_bucket = [](std::uint64_t a, std::uint64_t b) {
    return a <= LatencyHistogram::highest_ns && b <= LatencyHistogram::highest_ns &&
           LatencyHistogram::bucket_of(a) == LatencyHistogram::bucket_of(b);
  };
  return same_bucket(histogram.min(), min) && same_bucket(histogram.max(), max);
}

}  // namespace

Json to_json(const LatencyHistogram& histogram) {
  Json json = {{"count", histogram.count()}};
  const auto set = [&](const char* name, auto value) {
    json[name] = histogram.count() == 0 ? Json(nullptr) : Json(value);
  };
  set("min", histogram.min());
  set("mean", histogram.mean());
  set("p50", histogram.value_at_quantile(0.5));
  set("p90", histogram.value_at_quantile(0.9));
  set("p99", histogram.value_at_quantile(0.99));
  set("p999", histogram.value_at_quantile(0.999));
  set("p9999", histogram.value_at_quantile(0.9999));
  set("max", histogram.max());
  set("sum", histogram.sum());
  set("hdr", histogram.count() == 0 ? std::string() : encode_hdr(to_hdr(histogram)));
  return json;
}

bool is_histogram(const Json& json) {
  return json.is_object() && json.contains("count") && json.contains("hdr");
}

ReadHistogram read_histogram(const Json& json) {
  if (!json.is_object()) return wrong("it is no histogram");
  const auto count = natural(json, "count");
  if (!count) return wrong("its \"count\" is no number");
  ReadHistogram read{.histogram = Boxed<LatencyHistogram>(), .error = {}};
  if (*count == 0) return read;
  const auto hdr = json.find("hdr");
  if (hdr == json.end() || !hdr->is_string()) return wrong("it has no \"hdr\"");
  const DecodedHdr decoded = decode_hdr(hdr->get_ref<const std::string&>());
  if (!decoded.histogram) return wrong("its \"hdr\" cannot be read: " + decoded.error);
  LatencyHistogram& histogram = **read.histogram;
  if (!add_to(histogram, *decoded.histogram)) return wrong("its \"hdr\" has other buckets");
  const auto min = natural(json, "min");
  const auto max = natural(json, "max");
  const auto sum = natural(json, "sum");
  if (!min || !max || !sum) return wrong("its \"min\", \"max\" or \"sum\" is no number");
  if (histogram.count() != *count || !agree(histogram, *min, *max)) {
    return wrong("its \"hdr\" contradicts its other figures");
  }
  histogram.set_exact(*min, *max, *sum);
  return read;
}

}  // namespace forkecho::client
