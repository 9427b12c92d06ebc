// What a Manager's clients send, or what somebody sends in their name: two bytes, who and how long,
// and then that packet, again and again. A packet that is refused costs its client the connection,
// as in the server; nobody is answered who has not asked.
#include <set>

#include "common/mp/manager_objects.h"
#include "tests/fuzz/target.h"

namespace forkecho::fuzz {
namespace {

using namespace mp::managed;

constexpr unsigned clients = 4;
constexpr unsigned vanishes = 0x80;  // set in the first byte: the client does, before its packet
constexpr unsigned time_passes = 0x40;
constexpr auto a_while = std::chrono::seconds(1);

bool expects_answer(mp::BytesView packet) {
  mp::Decoder decoder(packet);
  const auto header = decoder.get<RequestHeader>();
  const auto op = static_cast<QueueOp>(header.op);
  return header.kind != Kind::queue || (op != QueueOp::taken && op != QueueOp::give_back);
}

class Manager {
 public:
  void apply(ClientId from, mp::BytesView packet) {
    const std::size_t before = answers_.count();
    try {
      objects_.apply(from, packet, now_, answers_);
    } catch (const mp::DecodeError&) {
      require(answers_.count() == before, "nobody is answered for a packet that is refused");
      forget(from);
      return;
    }
    if (expects_answer(packet)) waiting_.insert(from);
    deliver();
  }
  void forget(ClientId client) {
    objects_.forget(client, answers_);
    waiting_.erase(client);
    deliver();
  }
  void pass_time() {
    now_ += a_while;
    objects_.expire(now_, answers_);
    deliver();
  }

 private:
  void deliver() {
    for (const auto& answer : answers_.all())
      require(waiting_.erase(answer.to) == 1, "who is answered has asked, once");
    answers_ = {};
  }

  ManagerObjects objects_;
  Answers answers_;
  std::set<ClientId> waiting_;
  sys::Clock::time_point now_{};
};

}  // namespace

void fuzz(std::string_view input) {
  Manager manager;
  while (input.size() >= 2) {
    const auto first = static_cast<unsigned char>(input[0]);
    const auto length = static_cast<unsigned char>(input[1]);
    const ClientId from = first % clients;
    if ((first & vanishes) != 0) manager.forget(from);
    if ((first & time_passes) != 0) manager.pass_time();
    input.remove_prefix(2);
    const std::string_view packet = input.substr(0, length);
    manager.apply(from, std::as_bytes(std::span(packet)));
    input.remove_prefix(packet.size());
  }
  for (ClientId client = 0; client < clients; ++client) manager.forget(client);
}

}  // namespace forkecho::fuzz
