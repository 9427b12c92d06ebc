#include "server/log_keeper.h"

#include <fmt/format.h>

#include <system_error>

#include "common/log/log.h"
#include "server/access_log.h"

namespace forkecho::server {

std::string describe_loss(const LostLines& lost, const LostLines& told) {
  return fmt::format(
      "{} lines of the log and {} of the access log could not be written and are lost",
      lost.log - told.log, lost.access_log - told.access_log);
}

LogKeeper::LogKeeper(asio::io_context& context)
    : log_relay_(context, [](std::string_view lines) { log::append(lines); }),
      access_relay_(context, append_to_access_log) {
  log::set_relay(log_relay_.writer());
  set_access_relay(access_relay_.writer(), [this] { access_relay_.pass_on_all(); });
}

void LogKeeper::pass_on_all() {
  log_relay_.pass_on_all();
  access_relay_.pass_on_all();
}

std::string LogKeeper::reopen(const Options& options, const std::function<void()>& tell_others) {
  const std::string& file = options.log.file;
  if (file.empty() && !has_access_log()) {
    log::info("the log goes to standard error: there is no file to open anew");
    return "ok\n";
  }
  pass_on_all();
  try {
    if (!file.empty()) log::reopen(file);
    if (has_access_log()) reopen_access_log(options.access_log);
  } catch (const std::system_error& error) {
    log::error("{}; the old one stays in use", error.what());
    return "error: " + std::string(error.what()) + "; the old one stays in use\n";
  }
  tell_others();
  log::info("the log file was opened anew; no process writes to the old one any more");
  return "ok\n";
}

void LogKeeper::tell_of_lost_lines(const BookTotals& totals) {
  const LostLines lost{.log = totals.log_lost + log::dropped(),
                       .access_log = totals.access_log_lost + access_lines_lost()};
  if (lost == told_) return;
  if (log::try_write(log::Level::error, describe_loss(lost, told_))) told_ = lost;
}

}  // namespace forkecho::server
