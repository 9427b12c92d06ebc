// ManagedDict: the state of a Manager's dict, and of its Namespace, in the server. Keys and values
// are encoded; two keys are equal when their bytes are. Keeps the order of insertion, as Python's.
#pragma once

#include <list>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/mp/managed_object.h"

namespace forkecho::mp::managed {

class ManagedDict final : public ManagedObject {
 public:
  Outcome apply(const Request& request, Answers& answers) override;

 private:
  using Entry = std::pair<Blob, Blob>;
  using Entries = std::list<Entry>;
  Entries::iterator find(BytesView key);
  void set(BytesView key, BytesView value);
  void erase(Entries::iterator entry);
  void pop(Entries::iterator entry, Encoder& answer);
  bool replace(Decoder& arguments);
  void list_all(Encoder& answer, bool with_values) const;

  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> index_;  // views the keys in entries_
};

}  // namespace forkecho::mp::managed
