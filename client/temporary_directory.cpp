#include "client/temporary_directory.h"

#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

/// What is put behind the parent's path: this name, and a file's within it.
constexpr std::string_view pattern = "/forkecho-XXXXXX";
constexpr std::size_t room_for_a_name = 40;

std::string parent_directory() {
  const char* chosen = std::getenv("TMPDIR");
  const std::string parent = chosen == nullptr ? "" : chosen;
  const bool fits =
      parent.size() + pattern.size() + room_for_a_name < sizeof(sockaddr_un::sun_path);
  return parent.starts_with('/') && fits ? parent : "/tmp";
}

/// The keeper's whole life. Its owner's terminal does not reach it.
void remove_after_owner(const std::filesystem::path& path, mp::Connection& owner) {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  setsid();
  owner.recv_bytes();  // the owner says nothing: this is its end
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
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
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  keeper_->kill();
  keeper_->join();
}

}  // namespace forkecho::client
