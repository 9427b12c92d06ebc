#include "client/write_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"

namespace forkecho::client {
namespace {

constexpr mode_t file_mode = 0644;

std::string naming(const std::string& path) {
  return "cannot write " + path;
}

void write_all(int fd, std::string_view content, const std::string& what) {
  while (!content.empty()) {
    const auto written = sys::check_syscall(
        sys::retry_on_interrupt([&] { return ::write(fd, content.data(), content.size()); }), what);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Something that is there and no regular file: a rename would replace the device, not write to it.
bool is_special(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
}

/// A symbolic link's target is what the user means to replace.
std::string real_path(const std::string& path) {
  std::error_code missing;
  const auto real = std::filesystem::canonical(path, missing);
  return missing ? path : real.string();
}

/// A file beside `path` that vanishes unless it takes the place of `path`.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path)
      : name_(path + ".tmp." + std::to_string(getpid())),
        fd_(sys::check_syscall(
            open(name_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, file_mode),
            naming(path))) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!name_.empty()) unlink(name_.c_str());
  }

  int get() const { return fd_.get(); }
  void take_the_place_of(const std::string& path) {
    sys::check_syscall(rename(name_.c_str(), path.c_str()), naming(path));
    name_.clear();
  }

 private:
  std::string name_;
  sys::Descriptor fd_;
};

void write_special(const std::string& path, std::string_view content) {
  const sys::Descriptor fd(
      sys::check_syscall(open(path.c_str(), O_WRONLY | O_CLOEXEC), naming(path)));
  write_all(fd.get(), content, naming(path));
}

}  // namespace

void write_file_whole(const std::string& path, std::string_view content) {
  if (path == "-") return write_all(STDOUT_FILENO, content, naming("standard output"));
  if (is_special(path)) return write_special(path, content);
  const std::string target = real_path(path);
  TemporaryFile file(target);
  write_all(file.get(), content, naming(path));
  sys::check_syscall(fsync(file.get()), naming(path));
  file.take_the_place_of(target);
}

void check_writable(const std::string& path) {
  if (path == "-") return;
  if (path.empty()) sys::throw_errno(ENOENT, naming("a file without a name"));
  if (is_special(path)) {
    sys::check_syscall(access(path.c_str(), W_OK), naming(path));
    if (std::filesystem::is_directory(path)) sys::throw_errno(EISDIR, naming(path));
    return;
  }
  const TemporaryFile probe(real_path(path));
}

}  // namespace forkecho::client
