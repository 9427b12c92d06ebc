#include "server/reload.h"

#include <memory>
#include <system_error>
#include <utility>

#include "common/log/log.h"
#include "server/access_log.h"
#include "server/command_line.h"
#include "server/contradiction.h"
#include "server/reconfiguration.h"

namespace forkecho::server {
namespace {

struct Reread {
  std::optional<Options> options;
  std::string error;
};

/// The configuration as it is now. Without anything to read from: the same options.
Reread read_again(const Options& running) {
  if (running.command_line.empty()) return {.options = running, .error = {}};
  Parsed parsed = parse_command_line(running.command_line);
  if (parsed.command) return {.options = std::move(parsed.command->options), .error = {}};
  std::string line = std::move(parsed.text);
  for (const std::string_view noise : {"forkechod: ", " (see forkechod --help)\n"}) {
    if (const auto at = line.find(noise); at != std::string::npos) line.erase(at, noise.size());
  }
  return {.options = std::nullopt, .error = std::move(line)};
}

/// What kept it from that; empty when nothing did.
std::string change_logs(const Options& from, const Options& to) {
  try {
    if (to.log.file != from.log.file) log::reopen(to.log.file);
    if (to.access_log != from.access_log) reopen_access_log(to.access_log);
  } catch (const std::system_error& error) {
    return error.what();
  }
  log::configure(to.log.level, to.log.format);
  set_access_log_format(to.log.format);
  return {};
}

}  // namespace

void Reload::ask(Answer answer) {
  if (over_) {
    if (answer) answer("error: the daemon ends\n");
    return;
  }
  waiting_.push_back(std::move(answer));
  keep_going();
}

void Reload::keep_going() {
  if (!waiting_.empty() && !generations_.is_replacing()) begin();
}

void Reload::begin() {
  served_ = std::exchange(waiting_, {});
  const Options& running = generations_.options();
  Reread read = read_again(running);
  if (!read.options) {
    log::error("reload: {}; nothing has changed", read.error);
    return answer_all("error: configuration: " + read.error + "; nothing has changed\n");
  }
  if (running.config.empty())
    log::info("reload: no --config was given: fresh processes with the same options");
  Reconfiguration next = keep_what_cannot_change(*read.options, running);
  for (const std::string& name : next.kept)
    log::warning("reload: {} cannot change while the daemon runs, and stays as it is", name);
  if (const std::string wrong = find_contradiction(next.options); !wrong.empty()) {
    log::error("reload: with what stays as it is: {}; nothing has changed", wrong);
    return answer_all("error: configuration, with what cannot change: " + wrong +
                      "; nothing has changed\n");
  }
  take_over(next.options);
}

void Reload::take_over(const Options& options) {
  const auto before = std::make_shared<const Options>(generations_.options());
  const auto wanted = std::make_shared<const Options>(options);
  // The new processes begin with these.
  if (const std::string error = change_logs(*before, *wanted); !error.empty())
    return conclude(error, *before, *before);
  generations_.replace(wanted, [this, before, wanted](const std::string& error) {
    conclude(error, *before, *wanted);
  });
}

void Reload::conclude(const std::string& error, const Options& before, const Options& wanted) {
  if (!error.empty()) {
    change_logs(wanted, before);
    log::error("reload: {}; nothing has changed", error);
    return answer_all("error: " + error + "; nothing has changed\n");
  }
  if (wanted.backlog != before.backlog) {
    for (const Listener& listener : listeners_) listener.set_backlog(wanted.backlog);
  }
  log::info("reloaded: generation {} accepts", generations_.number());
  answer_all("ok\n");
}

void Reload::answer_all(const std::string& text) {
  for (const Answer& answer : std::exchange(served_, {})) {
    if (answer) answer(text);
  }
}

void Reload::give_up() {
  over_ = true;
  if (generations_.is_replacing()) generations_.give_up_replacing();
  served_ = std::exchange(waiting_, {});
  answer_all("error: the daemon ends\n");
}

}  // namespace forkecho::server
