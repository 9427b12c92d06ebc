// Five children append a line each to one file: by its name under a Lock, and by a descriptor that
// was opened before they were forked, without one.
#include <fcntl.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "common/mp/examples/say.h"
#include "common/mp/examples/scratch_directory.h"
#include "common/mp/lock.h"
#include "common/mp/process.h"
#include "common/sys/check_syscall.h"
#include "common/sys/descriptor.h"

namespace mp = forkecho::mp;
using forkecho::examples::say;
using forkecho::sys::check_syscall;

namespace {

constexpr int children = 5;

template <typename Work>
void in_five_children(Work work) {
  std::vector<mp::Process> started;
  for (int i = 0; i < children; ++i) started.emplace_back([=] { work(i); }).start();
  for (mp::Process& child : started) child.join();
}

/// In two writes: what keeps the line whole is the lock.
void append_by_name(mp::Lock& lock, const std::string& path, int number) {
  const mp::LockGuard guard(lock);
  std::ofstream file(path, std::ios::app);
  file << number << std::flush;
  file << " was here\n";
}

/// In one write: with O_APPEND the kernel keeps the line whole.
void append_to(int descriptor, int number) {
  const std::string line = std::to_string(number) + " was here\n";
  check_syscall(write(descriptor, line.data(), line.size()), "write");
}

void show(const char* how, const std::string& path) {
  say(how, ":");
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) say("  ", line);
}

}  // namespace

int main() {
  const forkecho::examples::ScratchDirectory directory;
  const std::string by_name = directory.path() / "by_name";
  mp::Lock lock;
  in_five_children([&](int i) { append_by_name(lock, by_name, i); });
  show("by the file's name, under a Lock", by_name);

  const std::string by_descriptor = directory.path() / "by_descriptor";
  const forkecho::sys::Descriptor file(check_syscall(
      open(by_descriptor.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), by_descriptor));
  in_five_children([&](int i) { append_to(file.get(), i); });
  show("by an inherited descriptor, without a lock", by_descriptor);

  say("The document: says that an open file can never be handed to a child. That holds where "
      "children are spawned; a forked one has all of its parent's.");
}
