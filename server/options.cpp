#include "server/options.h"

#include <unistd.h>

#include <cstdlib>

namespace forkecho::server {

std::optional<Mode> parse_mode(std::string_view name) {
  for (const Mode mode : {Mode::iterative, Mode::fork, Mode::pool, Mode::event}) {
    if (to_string(mode) == name) return mode;
  }
  return std::nullopt;
}

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::iterative:
      return "iterative";
    case Mode::fork:
      return "fork";
    case Mode::pool:
      return "pool";
    case Mode::event:
      return "event";
  }
  return "";
}

std::optional<Accept> parse_accept(std::string_view name) {
  if (name == "shared") return Accept::shared;
  if (name == "lock") return Accept::lock;
  if (name == "passing") return Accept::passing;
  if (name == "reuseport") return Accept::reuseport;
  return std::nullopt;
}

std::string_view to_string(Accept accept) {
  switch (accept) {
    case Accept::shared:
      return "shared";
    case Accept::lock:
      return "lock";
    case Accept::passing:
      return "passing";
    case Accept::reuseport:
      return "reuseport";
  }
  return "";
}

std::optional<WhenFull> parse_when_full(std::string_view name) {
  if (name == "wait") return WhenFull::wait;
  if (name == "refuse") return WhenFull::refuse;
  return std::nullopt;
}

std::string_view to_string(WhenFull when_full) {
  return when_full == WhenFull::wait ? "wait" : "refuse";
}

std::optional<Sandbox> parse_sandbox(std::string_view name) {
  for (const Sandbox sandbox : {Sandbox::off, Sandbox::on, Sandbox::strict}) {
    if (to_string(sandbox) == name) return sandbox;
  }
  return std::nullopt;
}

std::string_view to_string(Sandbox sandbox) {
  switch (sandbox) {
    case Sandbox::off:
      return "off";
    case Sandbox::on:
      return "on";
    case Sandbox::strict:
      return "strict";
  }
  return "";
}

PoolSizes default_pool_sizes(unsigned processors) {
  return {.start = 4 * processors,
          .min_spare = 2 * processors,
          .max_spare = 8 * processors,
          .max = 128 * processors};
}

// Measured on two processors (tests/bench/README.md): two accept an eighth more than one; with as
// many bare parents in C it is the same. More have not been measured to be better.
unsigned default_acceptors(unsigned processors) {
  return processors >= 2 ? 2 : 1;
}

std::string default_control_path() {
  if (geteuid() == 0) return "/run/forkecho/forkechod.sock";
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR");
      runtime != nullptr && *runtime != '\0') {
    return std::string(runtime) + "/forkecho/forkechod.sock";
  }
  return "/tmp/forkecho-" + std::to_string(geteuid()) + "/forkechod.sock";
}

std::string beside_control(const std::string& control, std::string_view ending) {
  constexpr std::string_view socket_ending = ".sock";
  std::string stem = control;
  if (stem.ends_with(socket_ending)) stem.resize(stem.size() - socket_ending.size());
  return stem.append(ending);
}

}  // namespace forkecho::server
