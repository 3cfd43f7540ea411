// SPDX-License-Identifier: Apache-2.0
// Names of files: what is taken, and what gives a complete file its name where a medium can do little.
#include "base/file_name.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/base/expect_error.h"
#include "tests/base/syscall_spy.h"
#include "tests/base/temp_folder.h"

namespace qpcseal {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::FileCall;
using testing::SpyScope;
using testing::TempFolder;

std::string text_in(const fs::path& path) { return read_text_file(path, 1 << 20); }

TEST(FileName, LiesInItsFolder) {
  EXPECT_EQ(parent_dir("a"), ".");
  EXPECT_EQ(parent_dir("a/b"), "a");
  EXPECT_EQ(parent_dir("/a"), "/");
  EXPECT_EQ(parent_dir(""), ".");
}

TEST(FileName, IsTakenByALinkThatLeadsNowhere) {
  const TempFolder folder;
  EXPECT_FALSE(is_name_taken(folder / "link"));
  fs::create_symlink("nowhere", folder / "link");
  EXPECT_TRUE(is_name_taken(folder / "link"));
  EXPECT_FALSE(is_name_taken(folder / "nowhere"));
}

TEST(FileName, ThatIsTakenIsACauseForPrograms) {
  const Error error = exists_error("a/b");
  EXPECT_EQ(error.kind(), ErrorKind::Io);
  EXPECT_STREQ(error.what(), "a/b exists");
  EXPECT_EQ(error.code(), "output-exists");
  EXPECT_EQ(error.hint(), "name another output, or replace it with --force");
}

TEST(FileName, BelowAFileIsNone) {
  const TempFolder folder;
  write_file(folder / "file", {}, Existing::Refuse);
  for (const Existing existing : {Existing::Refuse, Existing::Replace})
    EXPECT_ERROR(Io, "file/below: Not a directory", (check_name(folder / "file" / "below", existing), 0));
}

TEST(Medium, CannotDoWhatItDoesNotKnowAndFailsOtherwise) {
  for (const int code : {EPERM, ENOSYS, EOPNOTSUPP, EINVAL}) EXPECT_TRUE(medium_cannot(code)) << code;
  for (const int code : {0, EIO, ENOSPC, EDQUOT, EROFS, EACCES, EXDEV, EEXIST, ENOENT, EINTR})
    EXPECT_FALSE(medium_cannot(code)) << code;
}

TEST(UnsyncedFolder, IsMadeOnceAndNotSynced) {
  const TempFolder folder;
  SpyScope spy;
  EXPECT_TRUE(make_unsynced_folder(folder / "new", 0750));
  EXPECT_FALSE(make_unsynced_folder(folder / "new", 0700)) << "it is there";
  EXPECT_THAT(spy->calls, ::testing::IsEmpty());
  struct stat status{};
  ASSERT_EQ(stat((folder / "new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0750U) << "of its first making";
}

// A file "from", to be named "to".
class Publishing : public ::testing::Test {
 protected:
  Publishing() { write_file(from, view("ours"), Existing::Refuse); }
  void without_renameat2() { spy->fail_renameat2 = ENOSYS; }
  void without_links() {
    spy->fail = [](const FileCall& call) { return call.call == "link" ? EPERM : 0; };
  }
  void expect_named() {
    EXPECT_THAT(folder.names(), ElementsAre("to"));
    EXPECT_EQ(text_in(to), "ours");
  }
  const TempFolder folder;
  const fs::path from = folder / "from", to = folder / "to";
  SpyScope spy;
};

TEST_F(Publishing, SyncsNothing) {
  spy->calls.clear();
  publish(from, to, Existing::Refuse);
  EXPECT_THAT(spy->calls, ElementsAre("renameat2"));
  expect_named();
}

TEST_F(Publishing, TakesTheOldNameAwayWhereALinkGivesTheNew) {
  without_renameat2();
  publish(from, to, Existing::Refuse);
  expect_named();
}

TEST_F(Publishing, LooksAndRenamesUnderALockOfTheFolder) {
  without_renameat2();
  without_links();
  std::vector<std::string> calls;
  spy->fail_quiet = [&](const FileCall& call) {
    if (call.call == "flock") calls.push_back("flock " + call.file);
    return 0;
  };
  spy->after = [&](const FileCall& call) { calls.push_back(call.call); };
  publish(from, to, Existing::Refuse);
  EXPECT_THAT(calls, ElementsAre("flock " + folder.path().string(), "rename"));
  expect_named();
}

// A home's own command has its folder locked as long as it runs.
TEST_F(Publishing, DoesNotWaitForAFolderThatStaysLocked) {
  without_renameat2();
  without_links();
  const Fd other(open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
  publish(from, to, Existing::Refuse);
  expect_named();
}

TEST_F(Publishing, RefusesWhatATakenNameIsOnAnyMedium) {
  write_file(to, view("theirs"), Existing::Refuse);
  const auto refused = [&] {
    EXPECT_ERROR(Io, "to exists", (publish(from, to, Existing::Refuse), 0));
    EXPECT_EQ(text_in(to), "theirs");
    EXPECT_EQ(text_in(from), "ours");
  };
  refused();
  without_renameat2();
  refused();
  without_links();
  refused();
}

TEST_F(Publishing, FailsWhereTheMediumCanAndDoesNot) {
  for (const char* broken : {"renameat2", "link", "rename"}) {
    SCOPED_TRACE(broken);
    spy->fail_renameat2 = std::string(broken) == "renameat2" ? EIO : ENOSYS;
    spy->fail = [&](const FileCall& call) {
      return call.call == broken ? EIO : call.call == "link" ? EPERM : 0;
    };
    EXPECT_ERROR(Io, "to: Input/output error", (publish(from, to, Existing::Refuse), 0));
    EXPECT_EQ(text_in(from), "ours");
    EXPECT_FALSE(is_name_taken(to));
  }
}

TEST_F(Publishing, ReplacesFilesAlone) {
  fs::create_symlink("nowhere", folder / "link");
  EXPECT_ERROR(Io, "link is a symbolic link, and only files are replaced",
               (publish(from, folder / "link", Existing::Replace), 0));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  fs::remove(folder / "link");
  write_file(to, view("old"), Existing::Refuse);
  publish(from, to, Existing::Replace);
  expect_named();
}

}  // namespace
}  // namespace qpcseal
