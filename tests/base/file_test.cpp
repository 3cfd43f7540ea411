// Files: nothing under a final name until it is whole and on disk; nothing overwritten or followed unasked.
#include "base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "base/random.h"
#include "tests/base/expect_error.h"
#include "tests/base/syscall_spy.h"
#include "tests/base/temp_folder.h"

namespace qpcseal {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::SpyScope;
using testing::TempFolder;

std::string content(const fs::path& path) { return read_text_file(path, 1 << 20); }
unsigned mode_of(const fs::path& path) {
  struct stat status{};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

TEST(AtomicFile, NothingAppearsBeforeCommit) {
  const TempFolder folder;
  {
    AtomicFile file(folder / "out", Existing::Refuse);
    write_exact(file.fd(), view("secret"), 0);
    file.sync();
    EXPECT_FALSE(fs::exists(folder / "out"));
    EXPECT_TRUE(fs::exists(file.temporary_name()));
    EXPECT_EQ(file.temporary_name().parent_path(), folder.path()) << "a rename must not cross file systems";
  }
  EXPECT_THAT(folder.names(), IsEmpty()) << "without commit nothing stays behind";
}

TEST(AtomicFile, CommitGivesNameContentAndMode) {
  const TempFolder folder;
  const mode_t before = umask(0077);
  AtomicFile file(folder / "out", Existing::Refuse, 0640);
  write_exact(file.fd(), view("hello"), 0);
  file.commit();
  umask(before);
  EXPECT_EQ(content(folder / "out"), "hello");
  EXPECT_EQ(mode_of(folder / "out"), 0640U);
  EXPECT_THAT(folder.names(), ElementsAre("out"));
}

TEST(AtomicFile, IsOnDiskBeforeItIsNamedAndItsNameIsOnDiskAfter) {
  const TempFolder folder;
  SpyScope spy;
  write_file(folder / "out", view("x"), Existing::Refuse);
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "renameat2", "fsync folder"));
}

TEST(AtomicFile, SoToo_WhenItReplaces) {
  const TempFolder folder;
  write_file(folder / "out", view("old"), Existing::Refuse);
  SpyScope spy;
  write_file(folder / "out", view("new"), Existing::Replace);
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "rename", "fsync folder"));
  EXPECT_EQ(content(folder / "out"), "new");
}

TEST(AtomicFile, AFailedSyncPublishesNothing) {
  const TempFolder folder;
  write_file(folder / "old", view("old"), Existing::Refuse);
  SpyScope spy;
  spy->fail_fsync = EIO;
  EXPECT_ERROR(Io, "Input/output error", (write_file(folder / "out", view("x"), Existing::Refuse), 0));
  EXPECT_ERROR(Io, "Input/output error", (write_file(folder / "old", view("x"), Existing::Replace), 0));
  EXPECT_THAT(folder.names(), ElementsAre("old"));
  EXPECT_EQ(content(folder / "old"), "old");
}

TEST(AtomicFile, AnExistingNameIsRefusedAtOnce) {
  const TempFolder folder;
  write_file(folder / "out", view("first"), Existing::Refuse);
  EXPECT_ERROR(Io, "exists", AtomicFile(folder / "out", Existing::Refuse));
  fs::create_symlink("nowhere", folder / "dangling");
  EXPECT_ERROR(Io, "exists", AtomicFile(folder / "dangling", Existing::Refuse));
  fs::create_directory(folder / "folder");
  EXPECT_ERROR(Io, "exists", AtomicFile(folder / "folder", Existing::Refuse));
  EXPECT_THAT(folder.names(), ElementsAre("dangling", "folder", "out"));
}

// Someone else takes the name between construction and commit.
void lose_the_race(int renameat2_errno, const std::string& call) {
  const TempFolder folder;
  AtomicFile file(folder / "out", Existing::Refuse);
  write_exact(file.fd(), view("ours"), 0);
  write_file(folder / "out", view("theirs"), Existing::Refuse);
  SpyScope spy;
  spy->fail_renameat2 = renameat2_errno;
  EXPECT_ERROR(Io, "exists", (file.commit(), 0));
  EXPECT_EQ(spy->calls.back(), call);
  EXPECT_EQ(content(folder / "out"), "theirs");
}

TEST(AtomicFile, AnExistingNameIsRefusedAtCommit) { lose_the_race(0, "renameat2"); }
TEST(AtomicFile, SoToo_WhereRenameat2KnowsNoFlags) { lose_the_race(EINVAL, "link"); }
TEST(AtomicFile, SoToo_WhereThereIsNoRenameat2) { lose_the_race(ENOSYS, "link"); }

TEST(AtomicFile, LinkDoesWhereRenameat2Cannot) {
  const TempFolder folder;
  SpyScope spy;
  spy->fail_renameat2 = EINVAL;
  write_file(folder / "out", view("x"), Existing::Refuse);
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "renameat2", "link", "fsync folder"));
  EXPECT_THAT(folder.names(), ElementsAre("out"));
}

TEST(AtomicFile, OtherFailuresOfRenameat2AreFailures) {
  const TempFolder folder;
  SpyScope spy;
  spy->fail_renameat2 = EACCES;
  EXPECT_ERROR(Io, "Permission denied", (write_file(folder / "out", view("x"), Existing::Refuse), 0));
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(AtomicFile, ReplacingALinkReplacesTheLinkNotItsTarget) {
  const TempFolder folder;
  write_file(folder / "target", view("target"), Existing::Refuse);
  fs::create_symlink("target", folder / "link");
  write_file(folder / "link", view("new"), Existing::Replace);
  EXPECT_EQ(content(folder / "target"), "target");
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(folder / "link")));
  EXPECT_EQ(content(folder / "link"), "new");
}

TEST(AtomicFile, AFolderIsNeverReplaced) {
  const TempFolder folder;
  fs::create_directory(folder / "out");
  EXPECT_ERROR(Io, "directory", (write_file(folder / "out", view("x"), Existing::Replace), 0));
  EXPECT_THAT(folder.names(), ElementsAre("out"));
}

TEST(AtomicFile, NoFolderNoFile) {
  const TempFolder folder;
  EXPECT_ERROR(Io, "No such file", AtomicFile(folder / "missing" / "out", Existing::Refuse));
}

TEST(AtomicFile, MovesKeepOneOwnerOfTheTemporaryFile) {
  const TempFolder folder;
  AtomicFile first(folder / "one", Existing::Refuse);
  AtomicFile second = std::move(first);
  write_exact(second.fd(), view("1"), 0);
  AtomicFile third(folder / "two", Existing::Refuse);
  third = std::move(second);  // "two" is given up
  third.commit();
  EXPECT_THAT(folder.names(), ElementsAre("one"));
}

TEST(AtomicFile, ANameWithoutFolderLiesInTheWorkingFolder) {
  const TempFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file("plain", view("x"), Existing::Refuse);
  fs::current_path(before);
  EXPECT_THAT(folder.names(), ElementsAre("plain"));
}

TEST(FullDisk, NothingAppears) {
  const TempFolder folder;
  if (geteuid() != 0 || mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "a small file system can be mounted by root only";
  EXPECT_ERROR(Io, "No space left on device",
               (write_file(folder / "out", Bytes(1 << 20), Existing::Refuse), 0));
  write_file(folder / "old", view("old"), Existing::Refuse);
  EXPECT_ERROR(Io, "No space left on device",
               (write_file(folder / "old", Bytes(1 << 20), Existing::Replace), 0));
  EXPECT_THAT(folder.names(), ElementsAre("old"));
  EXPECT_EQ(content(folder / "old"), "old");
  EXPECT_EQ(umount(folder.path().c_str()), 0);
}

TEST(FullDisk, SoToo_WhereTheFileMayNotGrow) {
  const TempFolder folder;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_ERROR(Io, "File too large", (write_file(folder / "out", Bytes(10000), Existing::Refuse), 0));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(OpenToRead, OnlyRegularFilesAndNoLinks) {
  const TempFolder folder;
  write_file(folder / "file", view("x"), Existing::Refuse);
  fs::create_symlink("file", folder / "link");
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(file_size(open_to_read(folder / "file")), 1U);
  EXPECT_ERROR(Io, "symbolic link", open_to_read(folder / "link"));
  EXPECT_ERROR(Io, "not a regular file", open_to_read(folder / "fifo")) << "and it must not wait";
  EXPECT_ERROR(Io, "not a regular file", open_to_read(folder.path()));
  EXPECT_ERROR(Io, "not a regular file", open_to_read("/dev/null"));
  EXPECT_ERROR(Io, "No such file", open_to_read(folder / "missing"));
}

TEST(OpenToRead, DescriptorsAreNotInherited) {
  const TempFolder folder;
  AtomicFile file(folder / "out", Existing::Refuse);
  EXPECT_NE(fcntl(file.fd().get(), F_GETFD) & FD_CLOEXEC, 0);
  file.commit();
  EXPECT_NE(fcntl(open_to_read(folder / "out").get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(ReadFile, UpToItsLimit) {
  const TempFolder folder;
  const Bytes bytes = SystemRandom().bytes(1000);
  write_file(folder / "file", bytes, Existing::Refuse);
  EXPECT_EQ(read_file(folder / "file", 1000), bytes);
  EXPECT_ERROR(Malformed, "more than the 999 allowed", read_file(folder / "file", 999));
  write_file(folder / "empty", {}, Existing::Refuse);
  EXPECT_TRUE(read_file(folder / "empty", 0).empty());
}

TEST(ReadExact, AnyPartAndNeverLess) {
  const TempFolder folder;
  write_file(folder / "file", view("0123456789"), Existing::Refuse);
  const Fd file = open_to_read(folder / "file");
  Bytes part(4);
  read_exact(file, part, 6);
  EXPECT_EQ(text_of(part), "6789");
  EXPECT_ERROR(Io, "ends early", (read_exact(file, part, 7), 0));
  EXPECT_ERROR(Io, "ends early", (read_exact(file, part, 100), 0));
  EXPECT_ERROR(Io, "read", (read_exact(file, part, ~std::uint64_t{0}), 0));
  read_exact(file, {}, 100);  // nothing wanted, nothing wrong
}

TEST(WriteExact, AtAnyOffset) {
  const TempFolder folder;
  AtomicFile file(folder / "out", Existing::Refuse);
  write_exact(file.fd(), view("cd"), 2);
  write_exact(file.fd(), view("ab"), 0);
  file.commit();
  EXPECT_EQ(content(folder / "out"), "abcd");
  EXPECT_ERROR(Io, "Bad file descriptor", (write_exact(open_to_read(folder / "out"), view("x"), 0), 0));
}

TEST(Folder, MadeOnceWithItsMode) {
  const TempFolder folder;
  make_folder(folder / "new");
  EXPECT_EQ(mode_of(folder / "new"), 0700U);
  make_folder(folder / "new");
  fs::create_directory_symlink("new", folder / "link");
  EXPECT_ERROR(Io, "not a folder", (make_folder(folder / "link"), 0));
  write_file(folder / "file", {}, Existing::Refuse);
  EXPECT_ERROR(Io, "not a folder", (make_folder(folder / "file"), 0));
  EXPECT_ERROR(Io, "No such file", (make_folder(folder / "missing" / "deep"), 0));
}

TEST(Folder, SyncReachesTheFolder) {
  const TempFolder folder;
  SpyScope spy;
  sync_folder(folder.path());
  EXPECT_THAT(spy->calls, ElementsAre("fsync folder"));
  write_file(folder / "file", {}, Existing::Refuse);
  EXPECT_ERROR(Io, "Not a directory", (sync_folder(folder / "file"), 0));
}

TEST(Descriptor, OneOwnerAndCloseOnce) {
  const TempFolder folder;
  write_file(folder / "file", {}, Existing::Refuse);
  Fd first = open_to_read(folder / "file");
  const int number = first.get();
  Fd second = std::move(first);
  EXPECT_FALSE(static_cast<bool>(first));  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.get(), number);
  second.close();
  EXPECT_FALSE(static_cast<bool>(second));
  EXPECT_EQ(fcntl(number, F_GETFD), -1);
  second.close();
}

}  // namespace
}  // namespace qpcseal
