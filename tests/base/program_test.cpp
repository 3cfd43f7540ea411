// SPDX-License-Identifier: Apache-2.0
// What a main function sets up, and what it says of an exception. A process keeps its umask and its signals:
// the tests that change them do so in a child.
#include "base/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <new>

#include "base/file.h"
#include "base/file_name.h"
#include "base/pipe.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/process/in_child.h"

namespace qpcseal {
namespace {

using process::tests::in_child;
using process::tests::kKilled;

unsigned umask_now() {
  const mode_t now = umask(0);
  umask(now);
  return now;
}

// In a child whose user has this umask, once it was taken.
bool holds(mode_t of_user, const std::function<bool()>& claim) {
  return in_child([&] {
           umask(of_user);
           take_umask();
           return claim() ? 0 : 1;
         }) == 0;
}

TEST(Umask, OfTheUserIsTakenFromOutputsAndEverythingElseIsPrivate) {
  EXPECT_EQ(umask_of_user(), 0U) << "nobody took it";
  EXPECT_EQ(masked(0777), 0777U);
  EXPECT_TRUE(holds(0027, [] { return umask_of_user() == 0027 && umask_now() == 0077; }));
  EXPECT_TRUE(holds(0027, [] { return masked(0666) == 0640 && masked(0755) == 0750; }));
}

TEST(Umask, TakesNothingFromTheOwner) {
  EXPECT_TRUE(holds(0777, [] { return masked(0666) == 0600 && masked(0755) == 0700; }));
}

TEST(Umask, OfTheUserReachesFilesAndFolders) {
  const testing::TempFolder folder;
  const auto mode_of = [](const std::filesystem::path& path) {
    struct stat status{};
    return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0U;
  };
  EXPECT_TRUE(holds(0027, [&] {
    write_file(folder / "a", view("x"), Existing::Refuse, 0666);
    make_folder(folder / "b", 0755);
    return mode_of(folder / "a") == 0640 && mode_of(folder / "b") == 0750;
  }));
}

TEST(UserUmask, IsTheUsersWhileItLives) {
  EXPECT_TRUE(holds(0027, [] {
    bool was_theirs = false;
    {
      const UserUmask theirs;
      was_theirs = umask_now() == 0027;
    }
    return was_theirs && umask_now() == 0077;
  }));
}

// A write that meets what the signal is for.
int write_into_nothing() {
  Pipe pipe;
  pipe.read.close();
  return write(pipe.write.get(), "x", 1) == -1 && errno == EPIPE ? 0 : 1;
}
int write_past_the_limit(const std::filesystem::path& path) {
  const rlimit none{0, 0};
  const Fd file(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  if (setrlimit(RLIMIT_FSIZE, &none) != 0) return 1;
  return write(file.get(), "x", 1) == -1 && errno == EFBIG ? 0 : 1;
}

TEST(WriteSignals, AreErrorsOfTheWrite) {
  const testing::TempFolder folder;
  const auto outcome = [](const std::function<int()>& act, bool errors) {
    return in_child([&] {
      std::signal(SIGPIPE, SIG_DFL);
      std::signal(SIGXFSZ, SIG_DFL);
      const rlimit no_dump{0, 0};
      setrlimit(RLIMIT_CORE, &no_dump);
      if (errors) make_write_signals_errors();
      return act();
    });
  };
  const auto past = [&] { return write_past_the_limit(folder / "file"); };
  EXPECT_EQ(outcome(write_into_nothing, true), 0);
  EXPECT_EQ(outcome(past, true), 0);
  EXPECT_EQ(outcome(write_into_nothing, false), kKilled);
  EXPECT_EQ(outcome(past, false), kKilled);
}

TEST(AsError, LeavesOursAsTheyAre) {
  const Findings findings{{"POL-X", "c", "o", "e", "r"}};
  const Error ours = Error(ErrorKind::Denied, "no", "ask", findings).with_code("why");
  const Error same = as_error(ours);
  EXPECT_EQ(same.kind(), ErrorKind::Denied);
  EXPECT_STREQ(same.what(), "no");
  EXPECT_EQ(same.hint(), "ask");
  EXPECT_EQ(same.findings(), findings);
  EXPECT_EQ(same.code(), "why");
}

TEST(AsError, NamesFilesAndMemoryAsTheUsersAndAllElseAsOurs) {
  const std::filesystem::filesystem_error file("in here", "/a/b",
                                               std::make_error_code(std::errc::permission_denied));
  EXPECT_EQ(as_error(file).kind(), ErrorKind::Io);
  EXPECT_STREQ(as_error(file).what(), "/a/b: Permission denied");
  EXPECT_EQ(as_error(file).code(), "no-permission");
  const std::system_error thread(std::make_error_code(std::errc::resource_unavailable_try_again));
  EXPECT_EQ(as_error(thread).kind(), ErrorKind::Io);
  EXPECT_NE(as_error(thread).hint().find("ulimit -u"), std::string::npos);
  EXPECT_EQ(as_error(std::bad_alloc()).kind(), ErrorKind::Io);
  EXPECT_STREQ(as_error(std::bad_alloc()).what(), "out of memory");
  EXPECT_NE(as_error(std::bad_alloc()).hint().find("ulimit -v"), std::string::npos);
  EXPECT_EQ(as_error(std::out_of_range("at")).kind(), ErrorKind::Internal);
  EXPECT_STREQ(as_error(std::out_of_range("at")).what(), "internal: at");
}

}  // namespace
}  // namespace qpcseal
