// π by ten processes, each of which pushes its sum, and which slice it is of, onto a list in Redis.
//
//   pi_by_redis [TERMS [SOCKET]]    100000000 unless given; 127.0.0.1:6379 unless a unix socket is
#include <hiredis/hiredis.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "common/mp/examples/pi.h"
#include "common/mp/process.h"

namespace mp = forkecho::mp;
using namespace forkecho::examples;

namespace {

struct Free {
  void operator()(redisContext* context) const { redisFree(context); }
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

/// A connection of the process that makes it. Throws std::runtime_error with what Redis says.
class Redis {
 public:
  using Reply = std::unique_ptr<redisReply, Free>;
  explicit Redis(const char* socket)
      : context_(socket != nullptr ? redisConnectUnix(socket) : redisConnect("127.0.0.1", 6379)) {
    if (!context_ || context_->err != 0)
      throw std::runtime_error(std::string("Redis: ") +
                               (context_ ? context_->errstr : "no memory"));
  }
  template <typename... Args>
  Reply command(const char* format, const Args&... args) {
    Reply reply(static_cast<redisReply*>(redisCommand(context_.get(), format, args...)));
    if (!reply) throw std::runtime_error(std::string("Redis: ") + context_->errstr);
    if (reply->type == REDIS_REPLY_ERROR) throw std::runtime_error(reply->str);
    return reply;
  }

 private:
  std::unique_ptr<redisContext, Free> context_;
};

double pi_by_redis(long terms, const char* socket) {
  Redis redis(socket);
  const std::string list = "result:" + std::to_string(getpid());
  redis.command("DEL %s", list.c_str());
  std::vector<mp::Process> workers;
  for (int i = 0; i < slices; ++i) {
    workers.emplace_back([&list, socket, terms, i] {
      const std::string result = std::to_string(i) + ":" + shortest(sum_of(slice(terms, i)));
      Redis(socket).command("RPUSH %s %s", list.c_str(), result.c_str());
    });
    workers.back().start();
  }
  for (mp::Process& worker : workers) worker.join();

  const Redis::Reply results = redis.command("LRANGE %s 0 -1", list.c_str());
  redis.command("DEL %s", list.c_str());
  if (results->elements != slices) throw std::runtime_error("a result is missing");
  std::array<double, slices> sums{};
  for (std::size_t n = 0; n < slices; ++n) {
    const std::string result = results->element[n]->str;
    const auto colon = result.find(':');
    sums.at(std::stoul(result)) = std::stod(result.substr(colon + 1));
  }
  return pi_from(sums);
}

}  // namespace

int main(int argc, char** argv) try {
  const char* const socket = argc > 2 ? argv[2] : nullptr;
  compare_with_one_process(
      "ten processes, Redis", [&](long terms) { return pi_by_redis(terms, socket); },
      number_argument(argc, argv, 1, default_terms));
  say("The document: adds the sums in the order of their arrival. In about a quarter of all "
      "orders the last digit is another one.");
} catch (const std::runtime_error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
