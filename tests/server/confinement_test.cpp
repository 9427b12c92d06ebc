#include "server/confinement.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "server/exit_code.h"
#include "tests/support/child.h"
#include "tests/support/ordinary_user.h"
#include "tests/support/temp_dir.h"

namespace forkecho::server {
namespace {

using testing::HasSubstr;
using tests::exitcode_in_child;

std::string error_of(const ConfinementOptions& options, ExitCode expected = ExitCode::config) {
  try {
    find_identity(options);
  } catch (const FatalError& error) {
    EXPECT_EQ(error.code(), expected);
    return error.what();
  }
  return "none";
}

TEST(FindIdentity, NobodyIsLookedUpWhereNobodyIsNamed) {
  EXPECT_EQ(find_identity(ConfinementOptions{}), Identity{});
}

TEST(FindIdentity, NamesAndNumbersMeanTheSame) {
  EXPECT_EQ(find_identity({.user = "nobody", .group = "nogroup"}),
            (Identity{.user = 65534, .group = 65534}));
  EXPECT_EQ(find_identity({.user = "65534", .group = "65534"}),
            (Identity{.user = 65534, .group = 65534}));
}

TEST(FindIdentity, AUserBringsTheGroupOfItsEntry) {
  EXPECT_EQ(find_identity({.user = "games"}), (Identity{.user = 5, .group = 60}));
  EXPECT_EQ(find_identity({.user = "5"}), (Identity{.user = 5, .group = 60}));
  EXPECT_EQ(find_identity({.user = "games", .group = "daemon"}), (Identity{.user = 5, .group = 1}));
}

TEST(FindIdentity, AGroupAloneLeavesTheUser) {
  EXPECT_EQ(find_identity({.group = "nogroup"}), (Identity{.user = {}, .group = 65534}));
}

TEST(FindIdentity, ANumberThatNobodyHasNeedsAGroup) {
  EXPECT_EQ(find_identity({.user = "123456", .group = "123457"}),
            (Identity{.user = 123456, .group = 123457}));
  EXPECT_THAT(error_of({.user = "123456"}), HasSubstr("--group"));
}

TEST(FindIdentity, WhoIsUnknownIsNamedWithTheRemedy) {
  EXPECT_THAT(error_of({.user = "no-such-user"}),
              testing::AllOf(HasSubstr("--user no-such-user"), HasSubstr("adduser")));
  EXPECT_THAT(error_of({.group = "no-such-group"}),
              testing::AllOf(HasSubstr("--group no-such-group"), HasSubstr("addgroup")));
}

TEST(FindIdentity, WhatMerelyBeginsWithANumberIsAName) {
  for (const char* name : {"65534x", "-1", "4294967295", "99999999999999999999", "0x1", " 1"})
    EXPECT_THAT(error_of({.user = name}), HasSubstr("no such user")) << name;
}

TEST(ConfinementOptions, OnlyRootMayChangeWhoItIs) {
  EXPECT_EQ(find_contradiction(ConfinementOptions{}, 1000), "");
  EXPECT_EQ(find_contradiction(ConfinementOptions{.user = "x", .group = "y", .chroot = "/z"}, 0),
            "");
  EXPECT_THAT(find_contradiction(ConfinementOptions{.user = "x"}, 1000),
              HasSubstr("--user needs root"));
  EXPECT_THAT(find_contradiction(ConfinementOptions{.group = "x"}, 1000),
              HasSubstr("--group needs"));
  EXPECT_THAT(find_contradiction(ConfinementOptions{.chroot = "/"}, 1000),
              HasSubstr("--chroot needs"));
}

class ConfinementOfRoot : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
  }
};

/// Runs `look` in a child that has given up its privileges; what it returns is the exit code.
template <typename Look>
std::optional<int> confined(const ConfinementOptions& options, Look look) {
  const Confinement confinement(options);
  return exitcode_in_child([&] {
    confinement.give_up_privileges();
    return look();
  });
}

TEST_F(ConfinementOfRoot, WhoItWasIsGoneForGood) {
  EXPECT_EQ(confined({.user = "nobody", .group = "daemon"},
                     [] {
                       uid_t users[3];
                       gid_t groups[3];
                       if (getresuid(&users[0], &users[1], &users[2]) != 0) return 1;
                       if (getresgid(&groups[0], &groups[1], &groups[2]) != 0) return 2;
                       for (const uid_t user : users) {
                         if (user != 65534) return 3;
                       }
                       for (const gid_t group : groups) {
                         if (group != 1) return 4;
                       }
                       if (getgroups(0, nullptr) != 0) return 5;
                       if (setuid(0) == 0 || setgid(0) == 0) return 6;
                       return 0;
                     }),
            0);
}

TEST_F(ConfinementOfRoot, OtherGroupsGoWithTheOwn) {
  EXPECT_EQ(exitcode_in_child([] {
              const gid_t more[] = {10, 20};
              if (setgroups(2, more) != 0) return 1;
              Confinement({.group = "nogroup", .sandbox = Sandbox::off}).give_up_privileges();
              return getgroups(0, nullptr);
            }),
            0);
}

TEST_F(ConfinementOfRoot, RootWithoutCapabilitiesIsAnOrdinaryUser) {
  EXPECT_EQ(confined({},
                     [] {
                       const auto now = read_confinement(getpid());
                       if (!now || now->user != 0) return 1;
                       if (now->capabilities != 0) return 2;
                       if (!now->no_new_privs) return 3;
                       if (prctl(PR_CAPBSET_READ, 0) != 0) return 4;
                       if (prctl(PR_GET_DUMPABLE) != (filter_is_widened_by().empty() ? 0 : 1))
                         return 5;
                       return chroot("/") == 0 ? 6 : 0;
                     }),
            0);
}

TEST_F(ConfinementOfRoot, LimitsDoNotGrowBack) {
  EXPECT_EQ(confined({},
                     [] {
                       rlimit limit{};
                       getrlimit(RLIMIT_CORE, &limit);
                       if (limit.rlim_max != 0) return 1;
                       getrlimit(RLIMIT_NOFILE, &limit);
                       if (limit.rlim_cur != limit.rlim_max || limit.rlim_cur == 0) return 2;
                       limit.rlim_max += 1;
                       return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 3 : 0;
                     }),
            0);
}

TEST_F(ConfinementOfRoot, TheFileSystemEndsAtTheDirectory) {
  const tests::TempDir directory;
  EXPECT_EQ(confined({.chroot = directory.path("")},
                     [] {
                       struct stat status {};
                       if (stat("/etc", &status) == 0) return 1;
                       char where[100];
                       if (getcwd(where, sizeof where) == nullptr) return 2;
                       return std::string(where) == "/" ? 0 : 3;
                     }),
            0);
}

TEST_F(ConfinementOfRoot, OffTakesNothingButWhatIsNamed) {
  EXPECT_EQ(confined({.sandbox = Sandbox::off},
                     [] {
                       const auto now = read_confinement(getpid());
                       return now && now->capabilities != 0 && !now->no_new_privs ? 0 : 1;
                     }),
            0);
  EXPECT_EQ(confined({.user = "nobody", .sandbox = Sandbox::off},
                     [] {
                       const auto now = read_confinement(getpid());
                       return now && now->user == 65534 && now->capabilities == 0 ? 0 : 1;
                     }),
            0);
}

TEST_F(ConfinementOfRoot, WhatCannotWorkIsSaidBeforeAnybodyStarts) {
  try {
    const Confinement confinement({.chroot = "/no/such/directory"});
    FAIL() << "nothing was thrown";
  } catch (const FatalError& error) {
    EXPECT_EQ(error.code(), ExitCode::system);
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("--chroot '/no/such/directory'"),
                                             HasSubstr("No such file")));
  }
}

TEST(Confinement, OrdinaryUsersAreConfined) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  EXPECT_EQ(exitcode_in_child([] {
              tests::become(tests::user_of_its_own());
              const Confinement confinement({});
              confinement.give_up_privileges();
              if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 1;
              confinement.restrict_calls(Role::worker);
              return 0;
            }),
            0);
}

TEST(Confinement, AFilterIsInForceAfterItAndNotBefore) {
  for (const Sandbox sandbox : {Sandbox::on, Sandbox::strict}) {
    const Confinement confinement({.sandbox = sandbox});
    const auto call_socket = [&](bool restricted) {
      return exitcode_in_child([&] {
        confinement.give_up_privileges();
        if (restricted) confinement.restrict_calls(Role::worker);
        close(socket(AF_UNIX, SOCK_STREAM, 0));
        return 0;
      });
    };
    EXPECT_EQ(call_socket(false), 0);
    EXPECT_EQ(call_socket(true), -SIGSYS);
  }
}

TEST(Confinement, TheSecondFilterIsForStrictAlone) {
  EXPECT_EQ(Confinement({.sandbox = Sandbox::off}).connection_filter(), nullptr);
  EXPECT_EQ(Confinement({.sandbox = Sandbox::on}).connection_filter(), nullptr);
  const Confinement strict({.sandbox = Sandbox::strict});
  ASSERT_NE(strict.connection_filter(), nullptr);
  EXPECT_LT(strict.connection_filter()->calls, strict.calls_of(Role::acceptor));
}

TEST(ConfinementStatus, ShowsWhatHoldsAndNotWhatWasAskedFor) {
  const Confinement confinement({.sandbox = Sandbox::on});
  // This process was never confined.
  const ConfinementStatus status = confinement_status(confinement, Role::worker, getpid());
  EXPECT_EQ(status.sandbox, "on");
  EXPECT_EQ(status.user, std::to_string(geteuid()));
  EXPECT_FALSE(status.no_new_privs);
  EXPECT_EQ(status.system_calls, 0U);
  EXPECT_EQ(status.capabilities == "none", geteuid() != 0);
}

TEST(ConfinementStatus, WithoutAProcessItShowsWhatIsPlanned) {
  const Confinement confinement({.sandbox = Sandbox::on});
  const ConfinementStatus status = confinement_status(confinement, Role::worker, 0);
  EXPECT_EQ(status.system_calls, confinement.calls_of(Role::worker));
  EXPECT_GT(status.system_calls, 10U);
}

}  // namespace
}  // namespace forkecho::server
