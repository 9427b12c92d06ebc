#include "tests/support/leak_check.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mp/shared_memory.h"
#include "tests/support/child.h"

namespace forkecho::tests {
namespace {

TEST(LeakCheck, TheSameHoldingsDoNotDiffer) {
  EXPECT_EQ(differences(current_holdings(), current_holdings()), "");
}

TEST(LeakCheck, SeesADescriptorLeftOpenAndOneTaken) {
  const auto before = current_holdings();
  sys::Descriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto with_file = current_holdings();
  const std::string name = "descriptor " + std::to_string(file.get()) + " (/dev/null)\n";
  EXPECT_EQ(differences(before, with_file), "left: " + name);
  file.reset();
  EXPECT_EQ(differences(with_file, current_holdings()), "taken: " + name);
}

TEST(LeakCheck, SeesANumberThatBecameAnotherFile) {
  sys::Descriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto before = current_holdings();
  const sys::Descriptor other(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  dup3(other.get(), file.get(), O_CLOEXEC);
  EXPECT_NE(differences(before, current_holdings()).find("(/dev/zero)"), std::string::npos);
}

TEST(LeakCheck, SeesAChildUntilItIsReaped) {
  const auto before = current_holdings();
  const pid_t child = start_child([] { return 0; });
  const std::string expected = "left: child " + std::to_string(child) + '\n';
  EXPECT_EQ(differences(before, current_holdings()), expected);
  EXPECT_TRUE(readable(mp::open_sentinel(child).get()));
  EXPECT_EQ(differences(before, current_holdings()), expected);
  EXPECT_EQ(exitcode_of(child), 0);
  EXPECT_EQ(differences(before, current_holdings()), "");
}

TEST(LeakCheck, SeesASharedMappingUntilItIsGone) {
  const auto before = current_holdings();
  {
    const mp::SharedMemory memory(1);
    EXPECT_TRUE(differences(before, current_holdings()).starts_with("left: shared mapping "));
  }
  EXPECT_EQ(differences(before, current_holdings()), "");
}

TEST(LeakCheck, SeesNamedSharedMemory) {
  const auto before = current_holdings();
  const std::string name = "/forkecho-leak-" + std::to_string(getpid());
  const sys::Descriptor memory(shm_open(name.c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_NE(differences(before, current_holdings()).find("left: /dev/shm" + name),
            std::string::npos);
  shm_unlink(name.c_str());
}

}  // namespace
}  // namespace forkecho::tests
