// The proxies of a Manager's objects: dict, list, Namespace, queue and locks that live in the
// manager's process, and are used from everywhere. A Manager makes them (manager.h); here is what
// they can do.
//
// A proxy is a small value: copy it, take it along a fork, send it through a queue or store it in
// another managed object (it is encodable). Each method is one request to the manager and its
// answer: for itself it is atomic, two of them are not, unless a lock or modify makes them so. What
// get returns is a copy: to change a stored value, set it again, or store a proxy.
//
// All throw ManagerDied once the manager has ended, at once, waiting calls included;
// std::logic_error for an object that was removed; DecodeError when a value is of another type than
// asked for. Safe between processes and threads. A thread that is killed in a call: the call
// happened or did not, never half.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "common/mp/codec.h"
#include "common/mp/managed_protocol.h"
#include "common/mp/manager_client.h"
#include "common/mp/robust_mutex.h"
#include "common/mp/step.h"
#include "common/sys/deadline.h"

namespace forkecho::mp {

namespace managed {

/// A number for the types named; the same in every program of the same compiler. FNV-1a, 64 bits.
template <typename... T>
std::uint64_t type_number() {
  std::uint64_t hash = 14695981039346656037u;
  for (const char* name : {typeid(T).name()..., ""}) {
    for (const char each : std::string_view(name))
      hash = (hash ^ std::uint8_t(each)) * 1099511628211u;
    hash = (hash ^ '/') * 1099511628211u;
  }
  return hash;
}

template <typename T>
void put_value(Encoder& to, const T& value) {
  with_encoded(value, [&](BytesView bytes) { put_blob(to, bytes); });
}

template <typename T>
T get_value(Decoder& from) {
  return decode<T>(get_blob(from));
}

template <typename T>
std::optional<T> get_optional_value(Decoder& from) {
  if (!from.get<bool>()) return std::nullopt;
  return get_value<T>(from);
}

template <typename T>
std::vector<T> get_values(Decoder& from) {
  std::vector<T> values;
  for (auto left = from.get<std::uint64_t>(); left > 0; --left)
    values.push_back(get_value<T>(from));
  return values;
}

/// What all proxies have: where the object is.
class Proxy {
 public:
  ObjectId id() const { return id_; }
  const KnownManager& manager() const { return *manager_; }
  friend bool operator==(const Proxy& a, const Proxy& b) {
    return a.id_ == b.id_ && a.manager_->address() == b.manager_->address();
  }

 protected:
  Proxy(ManagerHandle manager, ObjectId id, Kind kind)
      : manager_(std::move(manager)), id_(id), kind_(kind) {}

  template <typename Op>
  Encoder request(Op op, sys::Deadline deadline = sys::Deadline::never()) const {
    return begin_request(id_, kind_, static_cast<std::uint32_t>(op), deadline);
  }
  Reply call(const Encoder& packet, sys::Deadline deadline = sys::Deadline::never()) const {
    return managed::call(*manager_, packet.view(), deadline);
  }
  void tell(const Encoder& packet) const { managed::tell(*manager_, packet.view()); }

  void encode_place(Encoder& to, std::uint64_t type) const {
    to.put(manager_->address());
    to.put(id_);
    to.put(kind_);
    to.put(type);
  }
  struct Place {
    ManagerHandle manager;
    ObjectId id;
  };
  /// Throws DecodeError for a proxy of another kind or type, AuthenticationError for one of a
  /// manager that this process has no key for.
  static Place decode_place(Decoder& from, Kind kind, std::uint64_t type) {
    const auto address = from.get<std::string>();
    const auto id = from.get<ObjectId>();
    const auto its_kind = from.get<Kind>();
    if (from.get<std::uint64_t>() != type || its_kind != kind)
      throw DecodeError("a proxy of another type");
    return {known_manager(address), id};
  }

 private:
  ManagerHandle manager_;
  ObjectId id_;
  Kind kind_;
};

}  // namespace managed

/// A dict. Keeps the order of insertion. Two keys are equal when they are encoded to the same
/// bytes, so a key must be encoded to the same bytes each time.
template <typename K, typename V>
class DictProxy : public managed::Proxy {
  static_assert(
      !detail::Plain<K> || std::has_unique_object_representations_v<K>,
      "a key of a managed dict is compared by its bytes: no floating point, and no struct "
      "with padding");

 public:
  static constexpr managed::Kind kind = managed::Kind::dict;
  static std::uint64_t type() { return managed::type_number<K, V>(); }
  DictProxy(managed::ManagerHandle manager, managed::ObjectId id)
      : Proxy(std::move(manager), id, kind) {}

  /// Empty when there is no such key.
  std::optional<V> get(const K& key) const {
    return managed::get_optional_value<V>(ask(managed::DictOp::get, key).results());
  }
  /// std::out_of_range when there is no such key.
  V at(const K& key) const {
    auto value = get(key);
    if (!value) throw std::out_of_range("a managed dict has no such key");
    return std::move(*value);
  }
  void set(const K& key, const V& value) const {
    Encoder packet = request(managed::DictOp::set);
    managed::put_value(packet, key);
    managed::put_value(packet, value);
    call(packet);
  }
  /// What was stored under the key, and is no longer; empty when there was no such key.
  std::optional<V> pop(const K& key) const {
    return managed::get_optional_value<V>(ask(managed::DictOp::pop, key).results());
  }
  /// The entry that was inserted last; empty when there is none.
  std::optional<std::pair<K, V>> popitem() const {
    managed::Reply reply = call(request(managed::DictOp::pop_last));
    if (!reply.results().get<bool>()) return std::nullopt;
    return pair_from(reply.results());
  }
  /// Whether there was such a key.
  bool erase(const K& key) const {
    return ask(managed::DictOp::pop, key).results().template get<bool>();
  }
  bool contains(const K& key) const {
    return ask(managed::DictOp::contains, key).results().template get<bool>();
  }
  std::size_t size() const {
    return call(request(managed::DictOp::size)).results().template get<std::uint64_t>();
  }
  bool empty() const { return size() == 0; }
  std::vector<K> keys() const {
    return managed::get_values<K>(call(request(managed::DictOp::keys)).results());
  }
  std::vector<V> values() const {
    std::vector<V> all;
    for (auto& [key, value] : items()) all.push_back(std::move(value));
    return all;
  }
  std::vector<std::pair<K, V>> items() const {
    managed::Reply reply = call(request(managed::DictOp::items));
    std::vector<std::pair<K, V>> all;
    for (auto left = reply.results().template get<std::uint64_t>(); left > 0; --left)
      all.push_back(pair_from(reply.results()));
    return all;
  }
  /// A copy of the whole, of one moment.
  std::map<K, V> copy() const {
    std::map<K, V> all;
    for (auto& entry : items()) all.insert(std::move(entry));
    return all;
  }
  /// Sets every pair of a map or a vector, in one step for everybody else.
  template <typename Pairs>
  void update(const Pairs& pairs) const {
    Encoder packet = request(managed::DictOp::update);
    for (const auto& [key, value] : pairs) {
      managed::put_value<K>(packet, key);
      managed::put_value<V>(packet, value);
    }
    call(packet);
  }
  void update(std::initializer_list<std::pair<K, V>> pairs) const {
    update<std::initializer_list<std::pair<K, V>>>(pairs);
  }
  void clear() const { call(request(managed::DictOp::clear)); }
  /// What is stored under the key; `value`, stored now, if nothing was.
  V setdefault(const K& key, const V& value) const {
    Encoder packet = request(managed::DictOp::set_default);
    managed::put_value(packet, key);
    managed::put_value(packet, value);
    return managed::get_value<V>(call(packet).results());
  }
  /// Stores `desired` if `expected` is stored now (by its bytes); an empty optional stands for no
  /// such key. Whether it did.
  bool replace(const K& key, const std::optional<V>& expected,
               const std::optional<V>& desired) const {
    return replace_bytes(key, expected ? std::optional(encoded(*expected)) : std::nullopt, desired);
  }
  /// Stores change(what is stored now, as an optional), as if nobody else could come in between,
  /// and returns it. `change` may be called several times, and must have no other effect.
  template <typename Change>
  V modify(const K& key, Change change) const {
    for (;;) {
      managed::Reply reply = ask(managed::DictOp::get, key);
      std::optional<Bytes> before;
      if (reply.results().template get<bool>()) {
        const BytesView bytes = managed::get_blob(reply.results());
        before.emplace(bytes.begin(), bytes.end());
      }
      V after = change(before ? std::optional<V>(decode_value(*before)) : std::nullopt);
      if (replace_bytes(key, before, after)) return after;
    }
  }

  void encode(Encoder& to) const { encode_place(to, type()); }
  static DictProxy decode(Decoder& from) {
    auto place = decode_place(from, kind, type());
    return {std::move(place.manager), place.id};
  }

 private:
  managed::Reply ask(managed::DictOp op, const K& key) const {
    Encoder packet = request(op);
    managed::put_value(packet, key);
    return call(packet);
  }
  static std::pair<K, V> pair_from(Decoder& from) {
    K key = managed::get_value<K>(from);
    return {std::move(key), managed::get_value<V>(from)};
  }
  static V decode_value(BytesView bytes) { return mp::decode<V>(bytes); }
  static Bytes encoded(const V& value) {
    return with_encoded(value, [](BytesView bytes) { return Bytes(bytes.begin(), bytes.end()); });
  }
  bool replace_bytes(const K& key, const std::optional<Bytes>& expected,
                     const std::optional<V>& desired) const {
    Encoder packet = request(managed::DictOp::replace);
    managed::put_value(packet, key);
    packet.put(expected.has_value());
    if (expected) managed::put_blob(packet, *expected);
    packet.put(desired.has_value());
    if (desired) managed::put_value(packet, *desired);
    return call(packet).results().template get<bool>();
  }
};

/// A list. Indices below zero count from the end; one outside is std::out_of_range. Two elements
/// are equal when they are encoded to the same bytes.
template <typename T>
class ListProxy : public managed::Proxy {
 public:
  static constexpr managed::Kind kind = managed::Kind::list;
  static std::uint64_t type() { return managed::type_number<T>(); }
  static constexpr std::int64_t to_the_end = std::numeric_limits<std::int64_t>::max();
  ListProxy(managed::ManagerHandle manager, managed::ObjectId id)
      : Proxy(std::move(manager), id, kind) {}

  void append(const T& value) const { extend(std::vector<T>{value}); }
  /// All in one step for everybody else.
  void extend(const std::vector<T>& values) const {
    Encoder packet = request(managed::ListOp::extend);
    for (const auto& value : values) managed::put_value<T>(packet, value);
    call(packet);
  }
  T get(std::int64_t index) const {
    Encoder packet = request(managed::ListOp::get);
    packet.put(index);
    return managed::get_value<T>(call(packet).results());
  }
  void set(std::int64_t index, const T& value) const {
    call_with(managed::ListOp::set, index, value);
  }
  /// Before the element at `index`; outside means at the nearer end.
  void insert(std::int64_t index, const T& value) const {
    call_with(managed::ListOp::insert, index, value);
  }
  /// Removes the element at `index` and returns it.
  T pop(std::int64_t index = -1) const {
    Encoder packet = request(managed::ListOp::pop);
    packet.put(index);
    return managed::get_value<T>(call(packet).results());
  }
  /// Removes the first that is equal to `value`; false when there is none.
  bool remove(const T& value) const {
    return ask(managed::ListOp::remove, value).results().template get<bool>();
  }
  /// Where the first that is equal to `value` stands; empty when there is none.
  std::optional<std::size_t> index(const T& value) const {
    const auto found = ask(managed::ListOp::index, value).results().template get<std::int64_t>();
    return found < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(found));
  }
  bool contains(const T& value) const { return index(value).has_value(); }
  std::size_t count(const T& value) const {
    return ask(managed::ListOp::count, value).results().template get<std::uint64_t>();
  }
  std::size_t size() const {
    return call(request(managed::ListOp::size)).results().template get<std::uint64_t>();
  }
  bool empty() const { return size() == 0; }
  /// The elements from `first` to before `last`, as Python's list[first:last]; never out of range.
  std::vector<T> slice(std::int64_t first, std::int64_t last = to_the_end) const {
    Encoder packet = request(managed::ListOp::slice);
    packet.put(first);
    packet.put(last);
    return managed::get_values<T>(call(packet).results());
  }
  /// All of them, of one moment.
  std::vector<T> copy() const { return slice(0); }
  void clear() const { call(request(managed::ListOp::clear)); }
  void reverse() const { call(request(managed::ListOp::reverse)); }
  /// Changes the whole list, given to `change` as a vector&, as if nobody else could come in
  /// between. `change` may be called several times, and must have no other effect.
  template <typename Change>
  void modify(Change change) const {
    for (;;) {
      managed::Reply reply = call(request(managed::ListOp::versioned));
      const auto version = reply.results().template get<std::uint64_t>();
      auto values = managed::get_values<T>(reply.results());
      change(values);
      Encoder packet = request(managed::ListOp::replace_all);
      packet.put(version);
      for (const auto& value : values) managed::put_value<T>(packet, value);
      if (call(packet).results().template get<bool>()) return;
    }
  }
  template <typename Less = std::less<>>
  void sort(Less less = {}) const {
    modify([&](std::vector<T>& values) { std::stable_sort(values.begin(), values.end(), less); });
  }

  void encode(Encoder& to) const { encode_place(to, type()); }
  static ListProxy decode(Decoder& from) {
    auto place = decode_place(from, kind, type());
    return {std::move(place.manager), place.id};
  }

 private:
  managed::Reply ask(managed::ListOp op, const T& value) const {
    Encoder packet = request(op);
    managed::put_value(packet, value);
    return call(packet);
  }
  void call_with(managed::ListOp op, std::int64_t index, const T& value) const {
    Encoder packet = request(op);
    packet.put(index);
    managed::put_value(packet, value);
    call(packet);
  }
};

/// Named values of any types. A value is read as the type it was set as, or DecodeError.
class Namespace : public managed::Proxy {
 public:
  static constexpr managed::Kind kind = managed::Kind::name_space;
  static std::uint64_t type() { return 0; }
  Namespace(managed::ManagerHandle manager, managed::ObjectId id)
      : Proxy(std::move(manager), id, kind) {}

  template <typename T>
  requires(!std::is_array_v<T>) void set(std::string_view name, const T& value) const {
    Encoder tagged;
    tagged.put(managed::type_number<T>());
    tagged.put(value);
    Encoder packet = request(managed::DictOp::set);
    managed::put_blob(packet, name);
    managed::put_blob(packet, tagged.view());
    call(packet);
  }
  void set(std::string_view name, const char* text) const { set(name, std::string(text)); }
  /// Empty when there is no such name.
  template <typename T>
  std::optional<T> get(std::string_view name) const {
    managed::Reply reply = ask(managed::DictOp::get, name);
    if (!reply.results().get<bool>()) return std::nullopt;
    Decoder tagged(managed::get_blob(reply.results()));
    if (tagged.get<std::uint64_t>() != managed::type_number<T>())
      throw DecodeError("'" + std::string(name) + "' in a namespace is of another type");
    return tagged.get<T>();
  }
  bool contains(std::string_view name) const {
    return ask(managed::DictOp::contains, name).results().get<bool>();
  }
  /// Whether there was such a name.
  bool del(std::string_view name) const {
    return ask(managed::DictOp::pop, name).results().get<bool>();
  }
  /// In the order in which they were first set.
  std::vector<std::string> names() const {
    managed::Reply reply = call(request(managed::DictOp::keys));
    std::vector<std::string> all;
    for (auto left = reply.results().get<std::uint64_t>(); left > 0; --left)
      all.push_back(managed::to_blob(managed::get_blob(reply.results())));
    return all;
  }

  void encode(Encoder& to) const { encode_place(to, type()); }
  static Namespace decode(Decoder& from) {
    auto place = decode_place(from, kind, type());
    return {std::move(place.manager), place.id};
  }

 private:
  managed::Reply ask(managed::DictOp op, std::string_view name) const {
    Encoder packet = request(op);
    managed::put_blob(packet, name);
    return call(packet);
  }
};

/// A queue: first in, first out; those who wait are served in the order in which they came.
///
/// An item that the manager has sent to a client which is killed, or cannot receive it (no
/// descriptor or no memory for it), before the get has decoded it and told so, goes back to the
/// head of the queue: the next get has it. So nothing is delivered twice, and lost is only what a
/// client is killed with between telling and get's return, or later; and an item that does not
/// decode as T, with the DecodeError that tells: it would block the head for ever.
template <typename T>
class QueueProxy : public managed::Proxy {
 public:
  static constexpr managed::Kind kind = managed::Kind::queue;
  static std::uint64_t type() { return managed::type_number<T>(); }
  QueueProxy(managed::ManagerHandle manager, managed::ObjectId id)
      : Proxy(std::move(manager), id, kind) {}

  /// False when the queue was full up to the deadline.
  bool put(const T& item, sys::Deadline deadline = sys::Deadline::never()) const {
    Encoder packet = request(managed::QueueOp::put, deadline);
    managed::put_value(packet, item);
    return call(packet, deadline).results().template get<bool>();
  }
  bool put_nowait(const T& item) const { return put(item, sys::Deadline::immediately()); }
  /// Empty when the queue was, up to the deadline.
  std::optional<T> get(sys::Deadline deadline = sys::Deadline::never()) const {
    managed::Reply reply = ask_for_item(deadline);
    if (!reply.results().template get<bool>()) return std::nullopt;
    FORKECHO_MP_STEP("manager.get.received");
    std::optional<T> item = item_of(reply);
    tell(request(managed::QueueOp::taken));
    FORKECHO_MP_STEP("manager.get.acknowledged");
    return item;
  }
  std::optional<T> get_nowait() const { return get(sys::Deadline::immediately()); }
  /// These three speak of a moment that is over when they return.
  std::size_t qsize() const {
    return call(request(managed::QueueOp::size)).results().template get<std::uint64_t>();
  }
  bool empty() const {
    return call(request(managed::QueueOp::state)).results().template get<bool>();
  }
  bool full() const {
    managed::Reply reply = call(request(managed::QueueOp::state));
    reply.results().template get<bool>();
    return reply.results().template get<bool>();
  }

  void encode(Encoder& to) const { encode_place(to, type()); }
  static QueueProxy decode(Decoder& from) {
    auto place = decode_place(from, kind, type());
    return {std::move(place.manager), place.id};
  }

 private:
  managed::Reply ask_for_item(sys::Deadline deadline) const {
    try {
      return call(request(managed::QueueOp::get, deadline), deadline);
    } catch (const ManagerDied&) {
      throw;
    } catch (const std::logic_error&) {
      throw;
    } catch (...) {
      tell_if_possible(managed::QueueOp::give_back);
      throw;
    }
  }
  T item_of(managed::Reply& reply) const {
    try {
      return managed::get_value<T>(reply.results());
    } catch (const DecodeError&) {
      tell_if_possible(managed::QueueOp::taken);
      throw;
    } catch (const std::logic_error&) {  // of a decode of the type's own
      tell_if_possible(managed::QueueOp::taken);
      throw;
    } catch (...) {
      tell_if_possible(managed::QueueOp::give_back);
      throw;
    }
  }
  void tell_if_possible(managed::QueueOp op) const {
    try {
      tell(request(op));
    } catch (const std::exception&) {
      // Without a connection the manager takes the item back by itself.
    }
  }
};

/// A lock, passed on in the order in which they came who wait. It is held by a thread of a process;
/// when that ends, the next holder is told owner_died. What it guards may then be half-done.
template <managed::Kind kind_of_lock>
class ManagedLockProxy : public managed::Proxy {
 public:
  static constexpr managed::Kind kind = kind_of_lock;
  static std::uint64_t type() { return 0; }
  ManagedLockProxy(managed::ManagerHandle manager, managed::ObjectId id)
      : Proxy(std::move(manager), id, kind) {}

  /// The caller holds it unless the answer is timed_out. std::logic_error when the calling thread
  /// holds it already and it is not recursive.
  Acquired acquire(sys::Deadline deadline = sys::Deadline::never()) const {
    return call(request(managed::LockOp::acquire, deadline), deadline)
        .results()
        .template get<Acquired>();
  }
  /// std::logic_error when the calling thread does not hold it.
  void release() const { call(request(managed::LockOp::release)); }

  void encode(Encoder& to) const { encode_place(to, type()); }
  static ManagedLockProxy decode(Decoder& from) {
    auto place = decode_place(from, kind, type());
    return {std::move(place.manager), place.id};
  }
};
using LockProxy = ManagedLockProxy<managed::Kind::lock>;
/// Its holder may acquire it again, and releases it as often.
using RLockProxy = ManagedLockProxy<managed::Kind::rlock>;

/// Holds a manager's lock for a scope. It is no error at the scope's end that the release fails:
/// the manager has died or cut the caller off, or another client has removed the lock, and then it
/// is held no longer. The next call on the lock or its manager tells.
template <typename LockOfManager>
class ManagedLockGuard {
 public:
  explicit ManagedLockGuard(const LockOfManager& lock) : lock_(lock), acquired_(lock_.acquire()) {}
  ManagedLockGuard(const ManagedLockGuard&) = delete;
  ManagedLockGuard& operator=(const ManagedLockGuard&) = delete;
  ~ManagedLockGuard() {
    try {
      lock_.release();
    } catch (const std::exception&) {
      // Lost in the meantime.
    }
  }
  bool owner_died() const { return acquired_ == Acquired::owner_died; }

 private:
  LockOfManager lock_;
  Acquired acquired_;
};

}  // namespace forkecho::mp
