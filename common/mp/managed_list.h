// ManagedList: the state of a Manager's list in the server. Elements are encoded; two are equal
// when their bytes are. Indices are Python's: below zero they count from the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "common/mp/managed_object.h"

namespace forkecho::mp::managed {

class ManagedList final : public ManagedObject {
 public:
  Outcome apply(const Request& request, Answers& answers) override;

 private:
  Outcome read(const Request& request, Answers& answers);
  Outcome change(const Request& request, Answers& answers);
  Blob& at(std::int64_t index);
  std::deque<Blob>::iterator find(BytesView value);
  void put_slice(std::int64_t first, std::int64_t last, Encoder& answer) const;

  std::deque<Blob> elements_;
  std::uint64_t version_ = 0;  // grows with every change
};

/// A bound of a slice as Python reads it: from the end when below zero, then cut to 0..size.
std::size_t slice_bound(std::int64_t index, std::size_t size);

}  // namespace forkecho::mp::managed
