#include "client/temporary_directory.h"

#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>

#include "common/sys/check_syscall.h"
#include "common/sys/deadline.h"

namespace forkecho::client {
namespace {

/// What is put behind the parent's path: this name, and a file's within it.
constexpr std::string_view pattern = "/forkecho-XXXXXX";
constexpr std::size_t room_for_a_name = 40;

constexpr auto time_to_remove = std::chrono::seconds(10);
constexpr auto between_tries = std::chrono::milliseconds(1);

std::string parent_directory() {
  const char* chosen = std::getenv("TMPDIR");
  const std::string parent = chosen == nullptr ? "" : chosen;
  const bool fits =
      parent.size() + pattern.size() + room_for_a_name < sizeof(sockaddr_un::sun_path);
  return parent.starts_with('/') && fits ? parent : "/tmp";
}

/// Removing stops at a file that another process has made or removed in the meantime, as a server
/// does that is just starting or ending: then it begins anew.
void remove_with_content(const std::filesystem::path& path) {
  const auto deadline = sys::Deadline::after(time_to_remove);
  for (;;) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    const bool disturbed =
        error == std::errc::directory_not_empty || error == std::errc::no_such_file_or_directory;
    if (!disturbed || deadline.passed()) return;
    std::this_thread::sleep_for(between_tries);
  }
}

/// The keeper's whole life. Its owner's terminal does not reach it.
void remove_after_owner(const std::filesystem::path& path, mp::Connection& owner) {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  setsid();
  owner.recv_bytes();  // the owner says nothing: this is its end
  remove_with_content(path);
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() : owner_(getpid()) {
  std::string path = parent_directory().append(pattern);
  if (mkdtemp(path.data()) == nullptr) sys::throw_errno(errno, "make a temporary folder " + path);
  path_ = path;
  try {
    start_keeper();
  } catch (...) {
    std::filesystem::remove(path_);
    throw;
  }
}

void TemporaryDirectory::start_keeper() {
  keeper_.emplace([this] {
    life_.second.close();
    remove_after_owner(path_, life_.first);
  });
  keeper_->detach();
  keeper_->start();
  life_.first.close();
}

TemporaryDirectory::~TemporaryDirectory() {
  if (getpid() != owner_) return;
  remove_with_content(path_);
  keeper_->kill();
  keeper_->join();
}

}  // namespace forkecho::client
