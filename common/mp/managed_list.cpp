#include "common/mp/managed_list.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace forkecho::mp::managed {
namespace {

std::deque<Blob> rest_of(Decoder& arguments) {
  std::deque<Blob> values;
  while (arguments.left() > 0) values.push_back(to_blob(get_blob(arguments)));
  return values;
}

}  // namespace

std::size_t slice_bound(std::int64_t index, std::size_t size) {
  const auto count = static_cast<std::int64_t>(size);
  if (index < 0) index = index < -count ? 0 : index + count;
  return static_cast<std::size_t>(std::min(index, count));
}

Blob& ManagedList::at(std::int64_t index) {
  const auto count = static_cast<std::int64_t>(elements_.size());
  if (index < -count || index >= count)
    throw std::out_of_range("index " + std::to_string(index) + " in a list of " +
                            std::to_string(count));
  return elements_[static_cast<std::size_t>(index < 0 ? index + count : index)];
}

std::deque<Blob>::iterator ManagedList::find(BytesView value) {
  const Blob wanted = to_blob(value);
  return std::find(elements_.begin(), elements_.end(), wanted);
}

void ManagedList::put_slice(std::int64_t first, std::int64_t last, Encoder& answer) const {
  const std::size_t begin = slice_bound(first, elements_.size());
  const std::size_t end = std::max(begin, slice_bound(last, elements_.size()));
  answer.put<std::uint64_t>(end - begin);
  for (std::size_t i = begin; i < end; ++i) put_blob(answer, elements_[i]);
}

Outcome ManagedList::apply(const Request& request, Answers& answers) {
  switch (static_cast<ListOp>(request.op)) {
    case ListOp::get:
    case ListOp::index:
    case ListOp::count:
    case ListOp::size:
    case ListOp::slice:
    case ListOp::versioned:
      return read(request, answers);
    default: {
      const Outcome outcome = change(request, answers);
      ++version_;
      return outcome;
    }
  }
}

Outcome ManagedList::read(const Request& request, Answers& answers) {
  Decoder& arguments = request.arguments;
  switch (static_cast<ListOp>(request.op)) {
    case ListOp::get: {
      const Blob& element = at(arguments.get<std::int64_t>());
      put_blob(answers.ok(request.from), element);
      break;
    }
    case ListOp::index: {
      const auto found = find(get_blob(arguments));
      const bool there = found != elements_.end();
      answers.ok(request.from)
          .put<std::int64_t>(there ? std::distance(elements_.begin(), found) : -1);
      break;
    }
    case ListOp::count: {
      const Blob wanted = to_blob(get_blob(arguments));
      const auto count = std::count(elements_.begin(), elements_.end(), wanted);
      answers.ok(request.from).put(static_cast<std::uint64_t>(count));
      break;
    }
    case ListOp::size:
      answers.ok(request.from).put<std::uint64_t>(elements_.size());
      break;
    case ListOp::slice: {
      const auto first = arguments.get<std::int64_t>();
      const auto last = arguments.get<std::int64_t>();
      put_slice(first, last, answers.ok(request.from));
      break;
    }
    case ListOp::versioned: {
      Encoder& answer = answers.ok(request.from);
      answer.put(version_);
      put_slice(0, std::numeric_limits<std::int64_t>::max(), answer);
      break;
    }
    default:
      throw_unknown_operation();
  }
  return Outcome::done;
}

Outcome ManagedList::change(const Request& request, Answers& answers) {
  Decoder& arguments = request.arguments;
  switch (static_cast<ListOp>(request.op)) {
    case ListOp::extend: {
      const std::deque<Blob> values = rest_of(arguments);  // all are read before one is appended
      elements_.insert(elements_.end(), values.begin(), values.end());
      answers.ok(request.from);
      break;
    }
    case ListOp::set: {
      Blob& element = at(arguments.get<std::int64_t>());
      element = to_blob(get_blob(arguments));
      answers.ok(request.from);
      break;
    }
    case ListOp::insert: {
      const std::size_t index = slice_bound(arguments.get<std::int64_t>(), elements_.size());
      elements_.insert(elements_.begin() + static_cast<std::ptrdiff_t>(index),
                       to_blob(get_blob(arguments)));
      answers.ok(request.from);
      break;
    }
    case ListOp::pop: {
      const auto index = arguments.get<std::int64_t>();
      put_blob(answers.ok(request.from), at(index));
      elements_.erase(elements_.begin() + (index < 0 ? index + std::ssize(elements_) : index));
      break;
    }
    case ListOp::remove: {
      const auto found = find(get_blob(arguments));
      const bool there = found != elements_.end();
      if (there) elements_.erase(found);
      answers.ok(request.from).put(there);
      break;
    }
    case ListOp::clear:
      elements_.clear();
      answers.ok(request.from);
      break;
    case ListOp::reverse:
      std::reverse(elements_.begin(), elements_.end());
      answers.ok(request.from);
      break;
    case ListOp::replace_all: {
      const bool unchanged = arguments.get<std::uint64_t>() == version_;
      std::deque<Blob> values = rest_of(arguments);
      if (unchanged) elements_ = std::move(values);
      answers.ok(request.from).put(unchanged);
      break;
    }
    default:
      throw_unknown_operation();
  }
  return Outcome::done;
}

}  // namespace forkecho::mp::managed
