#include "server/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "common/log/line_file.h"
#include "common/sys/check_syscall.h"

namespace forkecho::server {
namespace {

using namespace std::chrono;

struct State {
  std::optional<log::LineFile> file;
  log::Format format = log::Format::text;
  std::uint64_t lost = 0;
  int relay = -1;
  std::function<void()> pass_on_all = [] {};
};
State state;

/// How far from its end the file is searched for a line that a process wrote just before it died.
constexpr off_t search_length = 2 << 20;

/// Connections of one process that may be lost with it, whatever it says.
constexpr std::uint64_t most_lost = 100'000;

std::int64_t wall_clock_ns() {
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

std::string_view name_of(AccessOutcome outcome) {
  switch (outcome) {
    case AccessOutcome::served:
      return "served";
    case AccessOutcome::first_byte_timeout:
      return "first_byte_timeout";
    case AccessOutcome::idle_timeout:
      return "idle_timeout";
    case AccessOutcome::write_timeout:
      return "write_timeout";
    case AccessOutcome::lifetime_timeout:
      return "lifetime_timeout";
    case AccessOutcome::drain_timeout:
      return "drain_timeout";
    case AccessOutcome::crashed:
      return "crashed";
    case AccessOutcome::refused_full:
      return "refused_full";
    case AccessOutcome::refused_per_source:
      return "refused_per_source";
    case AccessOutcome::refused_rate:
      return "refused_rate";
    case AccessOutcome::refused_draining:
      return "refused_draining";
    case AccessOutcome::fork_failed:
      return "fork_failed";
  }
  return "unknown";
}

std::string_view name_of(AccessRole role) {
  switch (role) {
    case AccessRole::child:
      return "child";
    case AccessRole::worker:
      return "worker";
    case AccessRole::acceptor:
      return "acceptor";
  }
  return "unknown";
}

/// RFC 3339, in UTC, which needs no file of time zones in a confined process.
std::string format_time(std::int64_t since_1970_ns) {
  const sys_time<microseconds> time{
      duration_cast<microseconds>(nanoseconds(std::max<std::int64_t>(since_1970_ns, 0)))};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

/// The end of the file, read by a description of its own: the log's cannot read. Empty where there
/// is nothing that could be read again (a pipe).
std::string end_of_file(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return {};
  const std::string self = "/proc/self/fd/" + std::to_string(descriptor);
  const sys::Descriptor file(open(self.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  const off_t start = std::max<off_t>(0, status.st_size - search_length);
  std::string content(static_cast<std::size_t>(status.st_size - start), '\0');
  const ssize_t count = pread(file.get(), content.data(), content.size(), start);
  content.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return content;
}

bool write_line(const AccessEntry& entry) {
  return state.file->write(format_access_line(entry, state.format));
}

/// Endings that the process has booked.
std::uint64_t booked(const ProcessPage& page) {
  return page.book.read().ended();
}

}  // namespace

void open_access_log(const std::string& file, log::Format format) {
  if (file.empty()) {
    state.file.reset();
  } else {
    state.file = log::LineFile(file, "access log");
  }
  state.format = format;
}

void reopen_access_log(const std::string& file) {
  state.file->reopen(file, "access log");
}

void set_access_log_format(log::Format format) {
  state.format = format;
}

void set_access_relay(int relay, std::function<void()> pass_on_all) {
  state.relay = relay;
  state.pass_on_all = std::move(pass_on_all);
}

void use_access_relay() {
  if (state.file && state.relay >= 0) state.file = log::LineFile::borrowed(state.relay);
}

void append_to_access_log(std::string_view lines) {
  if (state.file && !state.file->write(lines))
    state.lost += static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
}

bool has_access_log() {
  return state.file.has_value();
}

int access_log_descriptor() {
  return state.file ? state.file->descriptor() : -1;
}

AccessOutcome outcome_of(Ending ending) {
  switch (ending) {
    case Ending::served:
      return AccessOutcome::served;
    case Ending::first_byte_timeout:
      return AccessOutcome::first_byte_timeout;
    case Ending::idle_timeout:
      return AccessOutcome::idle_timeout;
    case Ending::write_timeout:
      return AccessOutcome::write_timeout;
    case Ending::lifetime_timeout:
      return AccessOutcome::lifetime_timeout;
    case Ending::drain_timeout:
      return AccessOutcome::drain_timeout;
    case Ending::crashed:
      break;
  }
  return AccessOutcome::crashed;
}

AccessOutcome outcome_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::full:
      return AccessOutcome::refused_full;
    case Refusal::per_source:
      return AccessOutcome::refused_per_source;
    case Refusal::rate:
      return AccessOutcome::refused_rate;
    case Refusal::draining:
      break;
  }
  return AccessOutcome::refused_draining;
}

AccessEntry describe_connection(const Slot& slot, AccessRole role, AccessOutcome outcome,
                                MeterReading meter_before) {
  const std::int64_t now = sys::Clock::now().time_since_epoch().count();
  const std::int64_t since =
      std::clamp<std::int64_t>(slot.since_ns.load(std::memory_order_relaxed), 0, now);
  const MeterReading meter = slot.meter.read();
  return {.peer = slot.peer,
          .pid = slot.pid.load(std::memory_order_relaxed),
          .started_ns = wall_clock_ns() - (now - since),
          .duration_ns = now - since,
          .bytes_in = meter.bytes_in - meter_before.bytes_in,
          .bytes_out = meter.bytes_out - meter_before.bytes_out,
          .role = role,
          .outcome = outcome};
}

AccessEntry describe_arrival(const PeerAddress& peer, AccessRole role, AccessOutcome outcome) {
  return {.peer = peer,
          .pid = getpid(),
          .started_ns = wall_clock_ns(),
          .duration_ns = 0,
          .bytes_in = 0,
          .bytes_out = 0,
          .role = role,
          .outcome = outcome};
}

void write_announced_line(ProcessPage& page) {
  if (!write_line(page.journal.last)) page.access_log_lost.add(1);
  page.journal.settled.set(booked(page));
}

void settle_journal(const ProcessPage& page) {
  if (!has_access_log() || booked(page) <= page.journal.settled.get()) return;
  const std::string line = format_access_line(page.journal.last, state.format);
  state.pass_on_all();
  // At the beginning of a line: another may end in the same words.
  const std::string content = "\n" + end_of_file(access_log_descriptor());
  if (content.find("\n" + line) == std::string::npos) write_access_line(page.journal.last);
}

void write_access_line(const AccessEntry& entry) {
  if (has_access_log() && !write_line(entry)) ++state.lost;
}

void write_lost_connections(std::uint64_t count, std::span<const Slot> slots, AccessRole role,
                            MeterReading meter_before) {
  if (!has_access_log()) return;
  count = std::min(count, most_lost);
  for (const Slot& slot : slots) {
    if (count == 0) return;
    if (slot.state.load(std::memory_order_acquire) != SlotState::serving) continue;
    write_access_line(describe_connection(slot, role, AccessOutcome::crashed, meter_before));
    --count;
  }
  for (; count > 0; --count) write_access_line(describe_arrival({}, role, AccessOutcome::crashed));
}

std::uint64_t access_lines_lost() {
  return state.lost;
}

std::string format_access_line(const AccessEntry& entry, log::Format format) {
  const std::string peer = entry.peer.to_string();
  const std::string time = format_time(entry.started_ns);
  const double duration_s = static_cast<double>(entry.duration_ns) * 1e-9;
  if (format == log::Format::text) {
    return fmt::format("{} {} {} {:.6f}s in={} out={} {}={}\n", time, peer.empty() ? "-" : peer,
                       name_of(entry.outcome), duration_s, entry.bytes_in, entry.bytes_out,
                       name_of(entry.role), entry.pid);
  }
  return fmt::format(R"({{"time":"{}","peer":{},"ending":"{}","duration_s":{:.6f},"bytes_in":{},)"
                     R"("bytes_out":{},"pid":{},"role":"{}"}})"
                     "\n",
                     time, peer.empty() ? "null" : '"' + peer + '"', name_of(entry.outcome),
                     duration_s, entry.bytes_in, entry.bytes_out, entry.pid, name_of(entry.role));
}

}  // namespace forkecho::server
