#include "client/connect_command.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "client/connect.h"
#include "client/exit_code.h"
#include "client/first_connection.h"
#include "client/load.h"
#include "client/options.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

constexpr auto connect_timeout = 10s;

struct ConnectOptions {
  std::string target;
  std::optional<std::string> message;
  std::optional<std::uint64_t> count;
  sys::Duration every{0};
  bool repeats = false;  // --every was given
};

void check(const ConnectOptions& options) {
  if (options.message) return;
  if (options.repeats) throw UsageError("--every repeats a message: say which with --message TEXT");
  if (options.count) throw UsageError("--count counts messages: say which with --message TEXT");
}

ConnectEnd converse(sys::Descriptor socket, const ConnectOptions& options) {
  if (options.message) {
    const auto count =
        options.count || options.repeats ? options.count : std::optional<std::uint64_t>(1);
    return send_messages(std::move(socket),
                         {.text = *options.message, .every = options.every, .count = count});
  }
  const bool person = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
  return copy_both_ways(std::move(socket), {.prompts = person});
}

int connect(const ConnectOptions& options) {
  check(options);
  FirstConnection connection =
      connect_first(options.target, connect_timeout, sys::Deadline::after(0ns));
  if (connection.malformed) throw MalformedTarget(connection.error);
  if (!connection.socket) throw NothingAnswered(connection.error);
  if (converse(std::move(connection.socket), options) == ConnectEnd::finished) return exit_good;
  std::fprintf(stderr, "forkecho: the server at %s ended the connection\n",
               connection.address.to_string().c_str());
  return exit_failed;
}

}  // namespace

void add_connect_command(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand(
      "connect", "Talk to a server: from the terminal, a pipe, or with one message");
  const auto options = std::make_shared<ConnectOptions>();
  command->add_option("TARGET", options->target, "HOST:PORT, [IPV6]:PORT or unix:PATH")->required();
  command
      ->add_option("--message", options->message,
                   "send this line and print the reply, instead of the input")
      ->type_name("TEXT");
  auto* every = add_duration_option(*command, "--every", options->every,
                                    "send the message again at this interval");
  every->default_str("");
  command
      ->add_option("--count", options->count,
                   "how many times; without it once, or for ever with --every")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 62))
      ->type_name("N");
  command->callback([options, every, &chosen] {
    options->repeats = every->count() > 0;
    chosen = [options] { return connect(*options); };
  });
}

}  // namespace forkecho::client
