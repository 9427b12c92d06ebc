// The access log (--access-log): one line for each connection, when it is over: who came, when, for
// how long, how many bytes, how it ended, and which process served it. Written with one system call
// by whoever enters the ending into a book: an acceptor for its children, a worker for itself, and
// the supervisor for those whose process was killed. So the lines and the books agree, whatever was
// killed: a process that dies between its book and its line leaves in its page what it was about
// to write (AccessJournal), and the supervisor looks whether that line is there.
//
// Opened by the supervisor, inherited by everyone; when it is not, an ending costs one comparison
// more. A line that cannot be written is lost and counted; nobody waits. Not for threads.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "common/log/log.h"
#include "server/book.h"
#include "server/scoreboard.h"

namespace forkecho::server {

/// Opens `file` for appending; empty: no access log. Throws std::system_error, and keeps what there
/// was.
void open_access_log(const std::string& file, log::Format format);
/// Another file from now on; throws as open_access_log.
void reopen_access_log(const std::string& file);
void set_access_log_format(log::Format format);
bool has_access_log();
/// The supervisor keeps the file to itself (log_relay.h): those below write to `relay`, and what
/// they wrote is in the file after pass_on_all().
void set_access_relay(int relay, std::function<void()> pass_on_all);
/// In a process below: lines go to the relay.
void use_access_relay();
/// Lines that came through the relay.
void append_to_access_log(std::string_view lines);
/// To be kept when a process closes what it inherited; -1 when there is none.
int access_log_descriptor();

AccessOutcome outcome_of(Ending ending);
AccessOutcome outcome_of(Refusal refusal);

/// The connection in `slot`, which is over now. `meter_before`: what the slot's meter showed when
/// it began.
AccessEntry describe_connection(const Slot& slot, AccessRole role, AccessOutcome outcome,
                                MeterReading meter_before = {});
/// A connection that was over as soon as it had come.
AccessEntry describe_arrival(const PeerAddress& peer, AccessRole role, AccessOutcome outcome);

/// The second half of book_ending: writes the line that the journal announces.
void write_announced_line(ProcessPage& page);

/// Enters an ending into the book of `page` by `record()` and, with an access log, writes the line
/// of `describe()`, an AccessEntry.
template <typename Describe, typename Record>
void book_ending(ProcessPage& page, Describe describe, Record record) {
  if (!has_access_log()) return record();
  page.journal.last = describe();
  record();
  write_announced_line(page);
}

/// For the supervisor, of a dead process: writes the line that its journal announces, unless the
/// process did so itself.
void settle_journal(const ProcessPage& page);
/// For the supervisor: the line of a connection whose process is gone. Lost lines are counted in
/// access_lines_lost.
void write_access_line(const AccessEntry& entry);
/// For the supervisor: the lines of `count` connections that were lost with their process: of those
/// in `slots` that were being served as far as they go, else of nobody known. A count that is
/// nonsense, of a process gone wrong, is bounded.
void write_lost_connections(std::uint64_t count, std::span<const Slot> slots, AccessRole role,
                            MeterReading meter_before = {});
/// By the supervisor itself.
std::uint64_t access_lines_lost();

/// The line, with its newline. Whatever a process gone wrong has written into the entry, it is one
/// line, and of bounded length. Pure.
std::string format_access_line(const AccessEntry& entry, log::Format format);

}  // namespace forkecho::server
