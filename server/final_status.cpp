#include "server/final_status.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"
#include "server/exit_code.h"

namespace forkecho::server {
namespace {

constexpr mode_t file_mode = 0644;

std::string complaint(const std::string& path) {
  return "cannot write the final status '" + path +
         "' (choose another --final-status): " + std::strerror(errno);
}

[[noreturn]] void fail(const std::string& path) {
  throw FatalError(ExitCode::system, complaint(path));
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// A file beside `path` that vanishes unless it takes the place of `path`.
class Draft {
 public:
  explicit Draft(const std::string& path)
      : name_(path + ".tmp." + std::to_string(getpid())),
        fd_(open(name_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, file_mode)) {
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  ~Draft() {
    if (fd_ && !name_.empty()) unlink(name_.c_str());
  }

  bool is_open() const { return static_cast<bool>(fd_); }
  bool write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t written =
          sys::retry_on_interrupt([&] { return ::write(fd_.get(), text.data(), text.size()); });
      if (written < 0) return false;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return fsync(fd_.get()) == 0;
  }
  bool take_the_place_of(const std::string& path) {
    if (rename(name_.c_str(), path.c_str()) != 0) return false;
    name_.clear();
    return true;
  }

 private:
  std::string name_;
  sys::Descriptor fd_;
};

/// The name itself is on disk only once its folder is.
void sync_folder(const std::string& path) {
  const sys::Descriptor folder(open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) fsync(folder.get());
}

void write_whole(const std::string& path, std::string_view status) {
  Draft draft(path);
  if (!draft.is_open() || !draft.write(status) || !draft.take_the_place_of(path)) fail(path);
  sync_folder(path);
}

}  // namespace

FinalStatus::FinalStatus(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  if (const std::string wrong = find_unwritable(path_); !wrong.empty())
    throw FatalError(ExitCode::system, wrong);
  unlink(path_.c_str());
}

void FinalStatus::write(std::string_view status) const {
  write_whole(path_, status);
}

void FinalStatus::write_beside(std::string_view status) const {
  write_whole(path_ + "." + std::to_string(getpid()), status);
}

std::string find_unwritable(const std::string& path) {
  if (path.empty()) return {};
  if (is_directory(path)) {
    errno = EISDIR;
    return complaint(path);
  }
  const Draft probe(path);
  return probe.is_open() ? std::string() : complaint(path);
}

}  // namespace forkecho::server
