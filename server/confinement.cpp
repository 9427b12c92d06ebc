#include "server/confinement.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>

#include "common/log/log.h"
#include "common/mp/connection.h"
#include "common/mp/process.h"
#include "common/sys/check_syscall.h"
#include "server/exit_code.h"

namespace forkecho::server {
namespace {

using sys::check_syscall;

// --- whom to run as
// ---------------------------------------------------------------------------------

struct FileEnd {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileEnd>;

/// Ids are 32 bits wide; the highest stands for "no change" in setresuid.
std::optional<std::uint32_t> number_in(const std::string& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number == ~0U)
    return std::nullopt;
  return number;
}

/// The first entry of a file such as /etc/passwd that `matches`; empty too where there is no file.
template <typename Entry, typename Next, typename Matches, typename Take>
auto find_entry(const char* path, Next next, Matches matches, Take take)
    -> std::optional<decltype(take(*static_cast<Entry*>(nullptr)))> {
  const File file(std::fopen(path, "re"));
  while (file) {
    const Entry* entry = next(file.get());
    if (entry == nullptr) break;
    if (matches(*entry)) return take(*entry);
  }
  return std::nullopt;
}

struct Account {
  uid_t user;
  gid_t group;
};

std::optional<Account> find_account(const std::string& user) {
  const auto number = number_in(user);
  return find_entry<passwd>(
      "/etc/passwd", &fgetpwent,
      [&](const passwd& entry) { return number ? entry.pw_uid == *number : entry.pw_name == user; },
      [](const passwd& entry) {
        return Account{entry.pw_uid, entry.pw_gid};
      });
}

gid_t find_group(const std::string& group) {
  if (const auto number = number_in(group)) return *number;
  const auto found = find_entry<::group>(
      "/etc/group", &fgetgrent, [&](const ::group& entry) { return entry.gr_name == group; },
      [](const ::group& entry) { return entry.gr_gid; });
  if (!found)
    throw FatalError(ExitCode::config, "--group " + group +
                                           ": no such group in /etc/group (addgroup --system " +
                                           group + ", or give a number)");
  return *found;
}

[[noreturn]] void fail_for_user(const std::string& user, bool is_number) {
  throw FatalError(ExitCode::config,
                   is_number
                       ? "--user " + user + " is not in /etc/passwd: say its --group, too"
                       : "--user " + user + ": no such user in /etc/passwd (adduser --system " +
                             user + ", or give a number and --group)");
}

// --- giving up
// --------------------------------------------------------------------------------------

void enter_root_directory(const std::string& directory) {
  check_syscall(chroot(directory.c_str()), "cannot enter --chroot '" + directory + "'");
  check_syscall(chdir("/"), "cannot enter --chroot '" + directory + "'");
}

/// Whatever a program could gain by exec. Needs CAP_SETPCAP; without it there is no_new_privs.
void shrink_bounding_set() {
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability)
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

void become(const Identity& identity) {
  if (identity.user || identity.group) check_syscall(setgroups(0, nullptr), "setgroups");
  if (const auto group = identity.group) {
    check_syscall(setresgid(*group, *group, *group), "setresgid");
    gid_t real = 0, effective = 0, saved = 0;
    check_syscall(getresgid(&real, &effective, &saved), "getresgid");
    if (real != *group || effective != *group || saved != *group)
      sys::throw_errno(EPERM, "the group was not changed");
  }
  if (const auto user = identity.user) {
    check_syscall(setresuid(*user, *user, *user), "setresuid");
    uid_t real = 0, effective = 0, saved = 0;
    check_syscall(getresuid(&real, &effective, &saved), "getresuid");
    if (real != *user || effective != *user || saved != *user)
      sys::throw_errno(EPERM, "the user was not changed");
    // Whoever could become root again has given up nothing.
    if (*user != 0 && setresuid(0, 0, 0) == 0) sys::throw_errno(EPERM, "root was not given up");
  }
}

void drop_capabilities() {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
  check_syscall(syscall(SYS_capset, &header, none), "capset");
}

/// Descriptors: what there are may not become more. Not the size of files, which would bind the
/// log; not memory, of which an event worker may need much.
void limit_resources() {
  for (const auto resource : {RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE}) {
    const rlimit nothing{.rlim_cur = 0, .rlim_max = 0};
    check_syscall(setrlimit(resource, &nothing), "setrlimit");
  }
  rlimit descriptors{};
  check_syscall(getrlimit(RLIMIT_NOFILE, &descriptors), "getrlimit");
  descriptors.rlim_max = descriptors.rlim_cur;
  check_syscall(setrlimit(RLIMIT_NOFILE, &descriptors), "setrlimit");
}

/// Nobody of the same user may trace the process or read its memory. An ordinary user's own daemon
/// stays readable to that user, who started it and may measure it.
void hide_memory() {
  if (!filter_is_widened_by().empty()) return;  // the leak check traces
  check_syscall(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE");
}

// --- trying out
// -------------------------------------------------------------------------------------

/// What the trying process tells: the filters, or why it cannot be.
struct Finding {
  std::string error;
  std::array<FilterProgram, role_count> filters;

  void encode(mp::Encoder& to) const {
    to.put(error);
    for (const FilterProgram& filter : filters) {
      to.put(filter.calls);
      to.put(std::string(reinterpret_cast<const char*>(filter.code.data()),
                         filter.code.size() * sizeof(sock_filter)));
    }
  }
  static Finding decode(mp::Decoder& from) {
    Finding finding{.error = from.get<std::string>(), .filters = {}};
    for (FilterProgram& filter : finding.filters) {
      filter.calls = from.get<std::uint32_t>();
      const auto bytes = from.get<std::string>();
      filter.code.resize(bytes.size() / sizeof(sock_filter));
      bytes.copy(reinterpret_cast<char*>(filter.code.data()), bytes.size());
    }
    return finding;
  }
};

constexpr auto trial_time = std::chrono::seconds(10);

}  // namespace

std::string find_contradiction(const ConfinementOptions& options, uid_t caller) {
  if (caller == 0) return {};
  for (const auto& [name, value] : {std::pair{"--user", options.user},
                                    {"--group", options.group},
                                    {"--chroot", options.chroot}}) {
    if (!value.empty())
      return std::string(name) + " needs root: start as root, or leave it out and start as the " +
             "user that it shall run as";
  }
  return {};
}

Identity find_identity(const ConfinementOptions& options) {
  Identity identity;
  if (!options.group.empty()) identity.group = find_group(options.group);
  if (options.user.empty()) return identity;
  const auto number = number_in(options.user);
  const auto account = find_account(options.user);
  if (!account && (!number || !identity.group)) fail_for_user(options.user, number.has_value());
  identity.user = account ? account->user : *number;
  if (!identity.group) identity.group = account->group;
  return identity;
}

Confinement::Confinement(const ConfinementOptions& options)
    : options_(options), identity_(find_identity(options)) {
  kernel_has_filters_ = kernel_has_filters();
  if (options_.sandbox == Sandbox::strict && !kernel_has_filters_)
    throw FatalError(ExitCode::system,
                     "--sandbox strict: this kernel has no filters of system calls (seccomp); use "
                     "another, or --sandbox on");
  if (!filter_is_off_because().empty())
    log::warning("no filter of system calls: the {} has none (seccomp)", filter_is_off_because());
  tzset();  // the log's clock reads a file, which later is out of reach
  prepare();
}

std::string_view Confinement::filter_is_off_because() const {
  return options_.sandbox != Sandbox::off && !kernel_has_filters_ ? "kernel" : "";
}

void Confinement::compile_filters(const FilterTerms& terms) {
  if (!has_filters()) return;
  for (std::size_t role = 0; role < role_count; ++role)
    filters_[role] = compile(call_rules(static_cast<Role>(role), terms));
}

void Confinement::prepare() {
  const FilterTerms terms{.supervisor = getpid(),
                          .strict_children = options_.sandbox == Sandbox::strict};
  mp::Pipe pipe(mp::Duplex::no);
  mp::Process trial([&] {
    Finding finding;
    try {
      compile_filters(terms);
      give_up_privileges();
    } catch (const std::exception& error) {
      finding.error = error.what();
    }
    finding.filters = filters_;
    pipe.second.send(finding);
    if (finding.error.empty()) restrict_calls(Role::acceptor);
  });
  trial.detach();
  trial.keep_stdin();
  trial.start();
  pipe.second.close();
  const auto deadline = sys::Deadline::after(trial_time);
  std::optional<Finding> finding;
  if (pipe.first.poll(deadline)) finding = pipe.first.recv<Finding>();
  if (!trial.join(deadline)) trial.kill();
  trial.join();
  if (finding && !finding->error.empty()) throw FatalError(ExitCode::system, finding->error);
  if (!finding || trial.exitcode() != 0)
    throw FatalError(ExitCode::system, "the confinement was tried and does not work here (" +
                                           std::to_string(*trial.exitcode()) +
                                           "); see --sandbox off");
  filters_ = std::move(finding->filters);
}

void Confinement::give_up_privileges() const {
  if (!options_.chroot.empty()) enter_root_directory(options_.chroot);
  const bool was_root = geteuid() == 0;
  if (options_.sandbox != Sandbox::off) shrink_bounding_set();
  become(identity_);
  if (options_.sandbox == Sandbox::off) return;
  drop_capabilities();
  check_syscall(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
  limit_resources();
  if (was_root) hide_memory();
}

void Confinement::restrict_calls(Role role) const {
  if (has_filters()) install(filters_[index_of(role)]);
}

const FilterProgram* Confinement::connection_filter() const {
  const bool strict = options_.sandbox == Sandbox::strict;
  return strict ? &filters_[index_of(Role::connection)] : nullptr;
}

std::optional<ConfinementInForce> read_confinement(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  ConfinementInForce found;
  bool complete = false;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::uint64_t skipped = 0;
    if (name == "Uid:") words >> skipped >> found.user;
    if (name == "Gid:") words >> skipped >> found.group;
    if (name == "CapPrm:") words >> std::hex >> found.capabilities;
    if (name == "NoNewPrivs:") words >> found.no_new_privs;
    unsigned mode = SECCOMP_MODE_DISABLED;
    if (name == "Seccomp:") complete = static_cast<bool>(words >> mode);
    found.filtered = found.filtered || mode == SECCOMP_MODE_FILTER;
  }
  if (!complete) return std::nullopt;
  return found;
}

namespace {

/// As it was given, if that holds; else as it is.
std::string shown(const std::string& given, std::optional<std::uint32_t> asked,
                  std::uint32_t actual) {
  return asked == actual && !given.empty() ? given : std::to_string(actual);
}

std::string shown(std::uint64_t capabilities) {
  if (capabilities == 0) return "none";
  std::ostringstream digits;
  digits << std::hex << capabilities;
  return digits.str();
}

}  // namespace

ConfinementStatus confinement_status(const Confinement& confinement, Role role, pid_t process) {
  const ConfinementOptions& options = confinement.options();
  ConfinementStatus status{.sandbox = std::string(to_string(options.sandbox)),
                           .user = options.user,
                           .group = options.group,
                           .chroot = options.chroot,
                           .capabilities = "",
                           .no_new_privs = false,
                           .system_calls = confinement.calls_of(role),
                           .widened_by = std::string(filter_is_widened_by())};
  if (!confinement.filter_is_off_because().empty())
    status.sandbox = std::string("off (").append(confinement.filter_is_off_because()).append(")");
  const auto found = process == 0 ? std::nullopt : read_confinement(process);
  if (!found) return status;
  const Identity& identity = confinement.identity();
  status.user = shown(options.user, identity.user, found->user);
  status.group = shown(options.group, identity.group, found->group);
  status.capabilities = shown(found->capabilities);
  status.no_new_privs = found->no_new_privs;
  if (!found->filtered) status.system_calls = 0;
  return status;
}

}  // namespace forkecho::server
