#include "client/temporary_directory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "common/sys/check_syscall.h"

namespace forkecho::client {
namespace {

using namespace std::chrono_literals;

TEST(TemporaryDirectory, GoesWithItsOwner) {
  std::filesystem::path path;
  {
    const TemporaryDirectory directory;
    path = directory.path();
    EXPECT_TRUE(std::filesystem::is_directory(path));
    std::ofstream(path / "file") << "content";
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(mp::active_children().empty()) << "its keeper has gone as well";
}

TEST(TemporaryDirectory, OfAForkedChildRemovesNothing) {
  auto directory = std::make_unique<TemporaryDirectory>();
  mp::Process child([&directory] { directory.reset(); });
  child.start();
  child.join();
  EXPECT_EQ(child.exitcode(), 0);
  EXPECT_TRUE(std::filesystem::exists(directory->path()));
}

// A server that is starting or ending: for as long as the folder is there, its files come and go.
TEST(TemporaryDirectory, GoesThoughItsFilesComeAndGo) {
  for (int round = 0; round < 20; ++round) {
    auto directory = std::make_unique<TemporaryDirectory>();
    const std::filesystem::path path = directory->path();
    std::atomic<bool> over = false;
    std::thread server([&] {
      while (!over && std::filesystem::exists(path)) {
        for (int i = 0; i < 50; ++i) std::ofstream(path / std::to_string(i));
        for (int i = 0; i < 50; ++i) std::remove((path / std::to_string(i)).c_str());
      }
    });
    while (!std::filesystem::exists(path / "9")) std::this_thread::yield();
    directory.reset();
    EXPECT_FALSE(std::filesystem::exists(path));
    over = true;
    server.join();
    std::filesystem::remove_all(path);
  }
}

TEST(TemporaryDirectory, GoesWithAnOwnerThatIsKilled) {
  std::array<int, 2> ends;
  sys::check_syscall(pipe(ends.data()), "pipe");
  mp::Process owner([&ends] {
    const TemporaryDirectory directory;
    const std::string path = directory.path();
    sys::check_syscall(write(ends[1], path.data(), path.size()), "write");
    close(ends[1]);
    pause();
  });
  owner.start();
  std::array<char, 200> path{};
  ASSERT_GT(read(ends[0], path.data(), path.size() - 1), 0);
  EXPECT_TRUE(std::filesystem::exists(path.data()));
  owner.kill();
  owner.join();
  const auto deadline = sys::Deadline::after(10s);
  while (std::filesystem::exists(path.data()) && !deadline.passed())
    std::this_thread::sleep_for(1ms);
  EXPECT_FALSE(std::filesystem::exists(path.data()));
  for (const int end : ends) close(end);
}

}  // namespace
}  // namespace forkecho::client
