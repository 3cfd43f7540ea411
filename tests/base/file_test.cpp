// SPDX-License-Identifier: Apache-2.0
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
#include <fstream>
#include <functional>
#include <set>

#include "base/random.h"
#include "tests/base/expect_error.h"
#include "tests/base/syscall_spy.h"
#include "tests/base/temp_folder.h"

namespace qpcseal {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::FileCall;
using ::testing::IsEmpty;
using testing::SpyScope;
using testing::SyscallSpy;
using testing::TempFolder;

std::string content_of(const fs::path& path) { return read_text_file(path, 1 << 20); }
unsigned mode_of(const fs::path& path) {
  struct stat status{};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

// As a file system without O_TMPFILE; the rest as `more` says.
std::function<int(const FileCall&)> without_unnamed(std::function<int(const FileCall&)> more = {}) {
  return [more](const FileCall& call) {
    return call.call == "open unnamed" ? EOPNOTSUPP : more ? more(call) : 0;
  };
}

TEST(AtomicFile, HasNoNameBeforeCommit) {
  const TempFolder folder;
  AtomicFile file(folder / "out", Existing::Refuse);
  write_exact(file.fd(), view("secret"), 0);
  file.sync();
  EXPECT_THAT(folder.names(), IsEmpty());
  EXPECT_TRUE(file.temporary_name().empty());
  file.commit();
  EXPECT_THAT(folder.names(), ElementsAre("out"));
}

TEST(AtomicFile, OnlyATemporaryOneWhereTheFileSystemNamesAllFiles) {
  const TempFolder folder;
  {
    SpyScope spy;
    spy->fail_quiet = without_unnamed();
    AtomicFile file(folder / "out", Existing::Refuse);
    write_exact(file.fd(), view("secret"), 0);
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
  EXPECT_EQ(content_of(folder / "out"), "hello");
  EXPECT_EQ(mode_of(folder / "out"), 0640U);
  EXPECT_THAT(folder.names(), ElementsAre("out"));
}

TEST(AtomicFile, IsOnDiskBeforeItIsNamedAndItsNameIsOnDiskAfter) {
  const TempFolder folder;
  SpyScope spy;
  write_file(folder / "out", view("x"), Existing::Refuse);
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "linkat", "fsync folder"));
}

TEST(AtomicFile, SoToo_WhereTheFileSystemNamesAllFiles) {
  const TempFolder folder;
  SpyScope spy;
  spy->fail_quiet = without_unnamed();
  write_file(folder / "out", view("x"), Existing::Refuse);
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "renameat2", "fsync folder"));
}

TEST(AtomicFile, SoToo_WhenItReplaces) {
  const TempFolder folder;
  write_file(folder / "out", view("old"), Existing::Refuse);
  SpyScope spy;
  write_file(folder / "out", view("new"), Existing::Replace);
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "rename", "fsync folder"));
  EXPECT_EQ(content_of(folder / "out"), "new");
}

TEST(AtomicFile, AFailedSyncPublishesNothing) {
  const TempFolder folder;
  write_file(folder / "old", view("old"), Existing::Refuse);
  SpyScope spy;
  spy->fail_fsync = EIO;
  EXPECT_ERROR(Io, "Input/output error", (write_file(folder / "out", view("x"), Existing::Refuse), 0));
  EXPECT_ERROR(Io, "Input/output error", (write_file(folder / "old", view("x"), Existing::Replace), 0));
  EXPECT_THAT(folder.names(), ElementsAre("old"));
  EXPECT_EQ(content_of(folder / "old"), "old");
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
void lose_the_race(const std::function<void(SyscallSpy&)>& setting, const std::string& call) {
  const TempFolder folder;
  SpyScope spy;
  setting(*spy.operator->());
  AtomicFile file(folder / "out", Existing::Refuse);
  write_exact(file.fd(), view("ours"), 0);
  {
    std::ofstream(folder / "out") << "theirs";
  }
  EXPECT_ERROR(Io, "exists", (file.commit(), 0));
  EXPECT_EQ(spy->calls.back(), call);
  EXPECT_EQ(content_of(folder / "out"), "theirs");
}

void without_renameat2(SyscallSpy& spy, int code) {
  spy.fail_quiet = without_unnamed();
  spy.fail_renameat2 = code;
}
// A medium that has neither links nor renames that replace nothing.
void on_a_stick(SyscallSpy& spy) {
  without_renameat2(spy, EINVAL);
  spy.fail = [](const FileCall& call) { return call.call == "link" ? EPERM : 0; };
}

TEST(AtomicFile, AnExistingNameIsRefusedAtCommit) {
  lose_the_race([](SyscallSpy&) {}, "linkat");
  lose_the_race([](SyscallSpy& spy) { spy.fail_quiet = without_unnamed(); }, "renameat2");
}
TEST(AtomicFile, SoToo_WhereRenameat2KnowsNoFlags) {
  lose_the_race([](SyscallSpy& spy) { without_renameat2(spy, EINVAL); }, "link");
}
TEST(AtomicFile, SoToo_WhereThereIsNoRenameat2) {
  lose_the_race([](SyscallSpy& spy) { without_renameat2(spy, ENOSYS); }, "link");
}
TEST(AtomicFile, SoToo_WhereThereAreNoLinksEither) { lose_the_race(on_a_stick, "link"); }

TEST(AtomicFile, LinkDoesWhereRenameat2Cannot) {
  const TempFolder folder;
  SpyScope spy;
  without_renameat2(*spy.operator->(), EINVAL);
  write_file(folder / "out", view("x"), Existing::Refuse);
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "renameat2", "link", "fsync folder"));
  EXPECT_THAT(folder.names(), ElementsAre("out"));
}

TEST(AtomicFile, RenameDoesWhereNeitherCan) {
  const TempFolder folder;
  SpyScope spy;
  on_a_stick(*spy.operator->());
  write_file(folder / "out", view("x"), Existing::Refuse);
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "renameat2", "link", "rename", "fsync folder"));
  EXPECT_THAT(folder.names(), ElementsAre("out"));
  EXPECT_EQ(content_of(folder / "out"), "x");
}

TEST(AtomicFile, ACopyGetsTheNameWhereAnUnnamedFileCannot) {
  const TempFolder folder;
  SpyScope spy;
  spy->fail = [](const FileCall& call) { return call.call == "linkat" ? EPERM : 0; };
  const Bytes large = SystemRandom().bytes((std::size_t{3} << 20) + 5);
  write_file(folder / "out", large, Existing::Refuse, 0640);
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "linkat", "fsync file", "renameat2", "fsync folder"));
  EXPECT_THAT(folder.names(), ElementsAre("out"));
  EXPECT_EQ(read_file(folder / "out", std::size_t{4} << 20), large);
  EXPECT_EQ(mode_of(folder / "out"), 0640U);
}

TEST(AtomicFile, OtherFailuresOfNamingAreFailures) {
  const TempFolder folder;
  for (const char* which : {"linkat", "renameat2"}) {
    SpyScope spy;
    if (std::string(which) == "renameat2") spy->fail_quiet = without_unnamed();
    spy->fail = [&](const FileCall& call) { return call.call == which ? EACCES : 0; };
    EXPECT_ERROR(Io, "Permission denied", (write_file(folder / "out", view("x"), Existing::Refuse), 0));
    EXPECT_THAT(folder.names(), IsEmpty());
  }
}

TEST(AtomicFile, MediaWithoutModesAndFolderSyncTakeFiles) {
  const TempFolder folder;
  for (const int code : {EPERM, ENOSYS, EOPNOTSUPP, EINVAL}) {
    SpyScope spy;
    spy->fail_quiet = [&](const FileCall& call) { return call.call == "fchmod" ? code : 0; };
    spy->fail = [&](const FileCall& call) {
      return call.call == "fsync" && call.file == folder.path() ? code : 0;
    };
    const auto name = folder / std::to_string(code);
    write_file(name, view("x"), Existing::Refuse);
    EXPECT_EQ(content_of(name), "x");
  }
  SpyScope spy;
  spy->fail_quiet = [](const FileCall& call) { return call.call == "fchmod" ? EIO : 0; };
  EXPECT_ERROR(Io, "Input/output", (write_file(folder / "out", view("x"), Existing::Refuse), 0));
  spy->fail_quiet = {};
  spy->fail = [&](const FileCall& call) {
    return call.call == "fsync" && call.file == folder.path() ? EIO : 0;
  };
  EXPECT_ERROR(Io, "Input/output", (write_file(folder / "out", view("x"), Existing::Refuse), 0));
  EXPECT_FALSE(fs::exists(folder / "out")) << "a write that failed left its name";
}

TEST(AtomicFile, InterruptedCallsAreMadeAgain) {
  for (const bool named : {false, true}) {
    const TempFolder folder;
    std::set<std::string> interrupted;
    const auto once = [&](const FileCall& call) {
      return interrupted.insert(call.call + call.file).second ? EINTR : 0;
    };
    SpyScope spy;
    spy->fail = once;
    spy->fail_quiet = named ? without_unnamed(once) : once;
    write_file(folder / "out", view("x"), Existing::Refuse);
    write_file(folder / "out", view("y"), Existing::Replace);
    EXPECT_EQ(content_of(folder / "out"), "y");
    EXPECT_THAT(folder.names(), ElementsAre("out"));
    EXPECT_GT(interrupted.size(), 6U);
  }
}

TEST(AtomicFile, OnlyFilesAreReplaced) {
  const TempFolder folder;
  write_file(folder / "target", view("target"), Existing::Refuse);
  fs::create_symlink("target", folder / "link");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_ERROR(Io, "a symbolic link", (write_file(folder / "link", view("new"), Existing::Replace), 0));
  EXPECT_ERROR(Io, "a named pipe", (write_file(folder / "pipe", view("new"), Existing::Replace), 0));
  EXPECT_ERROR(Io, "a device", (write_file("/dev/null", view("new"), Existing::Replace), 0));
  EXPECT_EQ(content_of(folder / "target"), "target");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
}

TEST(AtomicFile, AFolderIsNeverReplaced) {
  const TempFolder folder;
  fs::create_directory(folder / "out");
  EXPECT_ERROR(Io, "directory", (write_file(folder / "out", view("x"), Existing::Replace), 0));
  EXPECT_THAT(folder.names(), ElementsAre("out"));
}

TEST(AtomicFile, ANameThatCannotBeIsRefusedAtOnce) {
  const TempFolder folder;
  EXPECT_ERROR(Io, "too long", AtomicFile(folder / std::string(300, 'x'), Existing::Refuse));
  EXPECT_ERROR(Io, "too long", AtomicFile(folder / std::string(300, 'x'), Existing::Replace));
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
  EXPECT_EQ(content_of(folder / "old"), "old");
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
  EXPECT_EQ(text_view(part), "6789");
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
  EXPECT_EQ(content_of(folder / "out"), "abcd");
  EXPECT_ERROR(Io, "Bad file descriptor", (write_exact(open_to_read(folder / "out"), view("x"), 0), 0));
}

TEST(Folder, HasItsNameOnTheDiskOnceMade) {
  const TempFolder folder;
  SpyScope spy;
  std::vector<std::string> synced;
  spy->after = [&](const testing::FileCall& call) {
    if (call.call == "fsync") synced.push_back(call.file);
  };
  make_folder(folder / "new");
  EXPECT_THAT(synced, ::testing::ElementsAre(folder.path().string()));
  make_folder(folder / "new");  // it is there
  EXPECT_EQ(synced.size(), 1U);
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
