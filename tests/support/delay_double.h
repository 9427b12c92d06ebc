// DelayDouble: a server whose delays are known: it answers each request after one of a list of
// delays, in turn, and writes down how long it really took from the request's last byte to the
// answer. On a port of 127.0.0.1 that the kernel chooses, in a process of its own, which is gone
// when the object is.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "common/mp/process.h"
#include "common/mp/raw_shared.h"
#include "common/sys/deadline.h"
#include "common/sys/descriptor.h"

namespace forkecho::testing {

struct DelayOptions {
  std::vector<sys::Duration> delays;  // of the first request, the second, …, and again
  bool one_at_a_time = false;  // a request's delay begins when the one before it was answered: the
                               // server's limit is one request for each delay
  std::size_t request_size = 64;
};

struct DelayBooks {
  static constexpr std::size_t most = 100'000;
  std::atomic<std::uint64_t> answered;
  std::atomic<std::uint64_t> taken_ns[most];  // of each request, in the order of the answers
};

class DelayDouble {
 public:
  explicit DelayDouble(DelayOptions options);
  DelayDouble(const DelayDouble&) = delete;
  DelayDouble& operator=(const DelayDouble&) = delete;
  ~DelayDouble();

  const std::string& target() const { return target_; }
  /// How long each request took so far, in nanoseconds, the shortest first.
  std::vector<std::uint64_t> taken_ns() const;

 private:
  DelayOptions options_;
  sys::Descriptor listener_;
  std::string target_;
  mp::RawValue<DelayBooks> books_;
  mp::Process process_;
};

}  // namespace forkecho::testing
