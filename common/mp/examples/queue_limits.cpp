// A queue of three: what put does when it is full, and get when it is empty. Then two puts by a
// child, of which another child gets one and main the other.
#include <string>

#include "common/mp/examples/say.h"
#include "common/mp/process.h"
#include "common/mp/queue.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;
using forkecho::sys::Deadline;
using Strings = mp::Queue<std::string>;

namespace {

Deadline soon() {
  return Deadline::after(std::chrono::milliseconds(30));
}

const char* put_answer(bool there_was_room) {
  return there_was_room ? "put" : "Full";
}

std::string get_answer(const std::optional<std::string>& item) {
  return item.value_or("Empty");
}

void show_full() {
  Strings queue(3);
  for (const char* item : {"a", "b", "c"}) queue.put(item);
  say("after three puts: full ", queue.full(), ", size ", queue.qsize());
  say("put_nowait: ", put_answer(queue.put_nowait("d")));
  say("put with a deadline: ", put_answer(queue.put("d", soon())));

  mp::Process blocked([&] {
    queue.put("d");
    say("the child's put went through");
  });
  blocked.start();
  say("a child's put without a deadline: ", blocked.join(soon()) ? "returns" : "waits for room");
  std::string got = *queue.get();
  blocked.join();
  while (const auto item = queue.get_nowait()) got += " " + *item;
  say("first in, first out: ", got);

  say("after four gets: empty ", queue.empty(), ", size ", queue.qsize());
  say("get_nowait: ", get_answer(queue.get_nowait()));
  say("get with a deadline: ", get_answer(queue.get(soon())));
}

void show_passing() {
  Strings queue;
  mp::Process producer([&] {
    queue.put("pitter");
    queue.put("patter");
  });
  mp::Process consumer([&] { say("consumer: ", *queue.get()); });
  producer.start();
  consumer.start();
  consumer.join();
  say("main: ", *queue.get());
  producer.join();
  say("empty ", queue.empty());
}

}  // namespace

int main() {
  show_full();
  show_passing();
  say("the default capacity is ", mp::default_capacity, " items");
  say("The document: its get that should wait 3 seconds has no timeout, and would wait for "
      "ever; and 32767 is not CPython's limit on Linux, but 2147483647.");
}
