#include "common/mp/managed_dict.h"

#include <iterator>
#include <optional>
#include <vector>

namespace forkecho::mp::managed {
namespace {

std::string_view text_of(BytesView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void put_optional(Encoder& answer, const Blob* value) {
  answer.put(value != nullptr);
  if (value != nullptr) put_blob(answer, *value);
}

std::optional<BytesView> get_optional(Decoder& arguments) {
  if (!arguments.get<bool>()) return std::nullopt;
  return get_blob(arguments);
}

}  // namespace

ManagedDict::Entries::iterator ManagedDict::find(BytesView key) {
  const auto found = index_.find(text_of(key));
  return found == index_.end() ? entries_.end() : found->second;
}

void ManagedDict::set(BytesView key, BytesView value) {
  if (const auto entry = find(key); entry != entries_.end()) {
    entry->second.assign(text_of(value));
    return;
  }
  const auto entry = entries_.emplace(entries_.end(), to_blob(key), to_blob(value));
  index_.emplace(entry->first, entry);
}

void ManagedDict::erase(Entries::iterator entry) {
  index_.erase(entry->first);
  entries_.erase(entry);
}

void ManagedDict::pop(Entries::iterator entry, Encoder& answer) {
  if (entry == entries_.end()) return put_optional(answer, nullptr);
  put_optional(answer, &entry->second);
  erase(entry);
}

bool ManagedDict::replace(Decoder& arguments) {
  const BytesView key = get_blob(arguments);
  const auto expected = get_optional(arguments);
  const auto desired = get_optional(arguments);
  const auto entry = find(key);
  const bool exists = entry != entries_.end();
  if (exists != expected.has_value()) return false;
  if (exists && entry->second != text_of(*expected)) return false;
  if (desired) {
    set(key, *desired);
  } else if (exists) {
    erase(entry);
  }
  return true;
}

void ManagedDict::list_all(Encoder& answer, bool with_values) const {
  answer.put<std::uint64_t>(entries_.size());
  for (const auto& [key, value] : entries_) {
    put_blob(answer, key);
    if (with_values) put_blob(answer, value);
  }
}

Outcome ManagedDict::apply(const Request& request, Answers& answers) {
  Decoder& arguments = request.arguments;
  switch (static_cast<DictOp>(request.op)) {
    case DictOp::get: {
      const auto entry = find(get_blob(arguments));
      put_optional(answers.ok(request.from), entry == entries_.end() ? nullptr : &entry->second);
      return Outcome::done;
    }
    case DictOp::set: {
      const BytesView key = get_blob(arguments);
      set(key, get_blob(arguments));
      answers.ok(request.from);
      return Outcome::done;
    }
    case DictOp::pop: {
      const auto entry = find(get_blob(arguments));
      pop(entry, answers.ok(request.from));
      return Outcome::done;
    }
    case DictOp::pop_last: {
      Encoder& answer = answers.ok(request.from);
      answer.put(!entries_.empty());
      if (entries_.empty()) return Outcome::done;
      put_blob(answer, entries_.back().first);
      put_blob(answer, entries_.back().second);
      erase(std::prev(entries_.end()));
      return Outcome::done;
    }
    case DictOp::contains: {
      const bool there = find(get_blob(arguments)) != entries_.end();
      answers.ok(request.from).put(there);
      return Outcome::done;
    }
    case DictOp::size:
      answers.ok(request.from).put<std::uint64_t>(entries_.size());
      return Outcome::done;
    case DictOp::keys:
      list_all(answers.ok(request.from), false);
      return Outcome::done;
    case DictOp::items:
      list_all(answers.ok(request.from), true);
      return Outcome::done;
    case DictOp::update: {
      std::vector<std::pair<BytesView, BytesView>> given;  // all are read before one is set
      while (arguments.left() > 0) {
        const BytesView key = get_blob(arguments);
        given.emplace_back(key, get_blob(arguments));
      }
      for (const auto& [key, value] : given) set(key, value);
      answers.ok(request.from);
      return Outcome::done;
    }
    case DictOp::clear:
      index_.clear();
      entries_.clear();
      answers.ok(request.from);
      return Outcome::done;
    case DictOp::set_default: {
      const BytesView key = get_blob(arguments);
      const BytesView value = get_blob(arguments);
      if (find(key) == entries_.end()) set(key, value);
      put_blob(answers.ok(request.from), find(key)->second);
      return Outcome::done;
    }
    case DictOp::replace: {
      const bool replaced = replace(arguments);
      answers.ok(request.from).put(replaced);
      return Outcome::done;
    }
  }
  throw_unknown_operation();
}

}  // namespace forkecho::mp::managed
