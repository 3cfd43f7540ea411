// SPDX-License-Identifier: Apache-2.0
// Outputs that appear together or not at all, and the room that is taken for them before.
#include "base/file_set.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bulk_file.h"
#include "base/free_room.h"
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
using testing::TempFolder;

std::string said(const fs::path& path) { return read_text_file(path, 1 << 20); }

std::ptrdiff_t open_now() { return std::distance(fs::directory_iterator("/proc/self/fd"), {}); }

void put(const Fd& fd, std::string_view text) { write_exact(fd, view(text), 0); }

TEST(OutputSet, FilesAppearBeforeTextsAndEachInTheOrderOfItsCall) {
  const TempFolder folder;
  std::vector<std::string> appeared;
  OutputSet outputs(Existing::Refuse);
  outputs.write(folder / "d", "4");
  put(outputs.file(folder / "b"), "1");
  outputs.write(folder / "c", "5");
  put(outputs.file(folder / "a"), "2");
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_FALSE(fs::exists(folder / name)) << name;
  SpyScope spy;
  spy->after = [&](const FileCall& call) {
    if (!call.to.empty()) appeared.push_back(fs::path(call.to).filename());
  };
  outputs.commit();
  EXPECT_THAT(appeared, ElementsAre("b", "a", "d", "c"));
  EXPECT_THAT(folder.names(), ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(said(folder / "b") + said(folder / "a") + said(folder / "d") + said(folder / "c"), "1245");
}

TEST(OutputSet, SyncBringsAllToTheDiskAndNamesNothing) {
  const TempFolder folder;
  OutputSet outputs(Existing::Refuse);
  put(outputs.file(folder / "a"), "1");
  outputs.write(folder / "b", "2");
  outputs.write(folder / "c", "3");
  SpyScope spy;
  outputs.sync();
  EXPECT_THAT(spy->calls, ElementsAre("fsync file", "fsync file", "fsync file"));
  for (const char* name : {"a", "b", "c"}) EXPECT_FALSE(fs::exists(folder / name)) << name;
}

TEST(OutputSet, AFileThatCannotBeSyncedNamesNothing) {
  const TempFolder folder;
  {
    OutputSet outputs(Existing::Refuse);
    put(outputs.file(folder / "a"), "1");
    put(outputs.file(folder / "b"), "2");
    SpyScope spy;
    unsigned synced = 0;
    spy->fail = [&](const FileCall& call) { return call.call == "fsync" && ++synced == 2 ? EIO : 0; };
    EXPECT_ERROR(Io, "b: Input/output error", (outputs.commit(), 0));
  }
  EXPECT_THAT(folder.names(), IsEmpty());
}

// `lost`: the name that another takes before commit.
void lose(const std::string& lost) {
  const TempFolder folder;
  {
    OutputSet outputs(Existing::Refuse);
    put(outputs.file(folder / "a"), "ours");
    put(outputs.file(folder / "b"), "ours");
    outputs.write(folder / "c", "ours");
    outputs.write(folder / "d", "ours");
    write_file(folder / lost, view("theirs"), Existing::Refuse);
    EXPECT_ERROR(Io, (folder / lost).string() + " exists", (outputs.commit(), 0));
    EXPECT_EQ(said(folder / lost), "theirs");
    for (const std::string name : {"a", "b", "c", "d"})
      EXPECT_EQ(fs::exists(folder / name), name == lost) << name << ", where " << lost << " was taken";
  }
  EXPECT_THAT(folder.names(), ElementsAre(lost)) << "and nothing of ours stays";
}

TEST(OutputSet, ACommitThatFailsTakesBackWhatHadAppeared) {
  for (const char* name : {"a", "b", "c", "d"}) lose(name);
}

// What it replaced is gone: taking the new one away as well would leave nothing.
TEST(OutputSet, ACommitThatFailsLeavesWhatReplacedAnother) {
  const TempFolder folder;
  write_file(folder / "a", view("old"), Existing::Refuse);
  OutputSet outputs(Existing::Replace);
  put(outputs.file(folder / "a"), "new");
  put(outputs.file(folder / "b"), "new");
  fs::create_directory(folder / "b");
  EXPECT_ERROR(Io, "b is a directory", (outputs.commit(), 0));
  EXPECT_EQ(said(folder / "a"), "new");
}

TEST(OutputSet, RefusesATakenNameAtOnce) {
  const TempFolder folder;
  write_file(folder / "taken", view("theirs"), Existing::Refuse);
  OutputSet refusing(Existing::Refuse), replacing(Existing::Replace);
  EXPECT_ERROR(Io, "taken exists", refusing.file(folder / "taken"));
  EXPECT_ERROR(Io, "taken exists", (refusing.write(folder / "taken", "x"), 0));
  put(replacing.file(folder / "taken"), "ours");
  replacing.commit();
  EXPECT_EQ(said(folder / "taken"), "ours");
}

TEST(OutputSet, RemovesTheFoldersThatItMadeAndNoOther) {
  const TempFolder folder;
  make_folder(folder / "there");
  {
    OutputSet outputs(Existing::Refuse);
    outputs.dir(folder / "there");
    outputs.dir(folder / "there" / "new" / "deep");
    outputs.dir(folder / "shared");
    put(outputs.file(folder / "there" / "new" / "deep" / "a"), "1");
    outputs.write(folder / "there" / "new" / "b", "2");
    write_file(folder / "shared" / "theirs", view("x"), Existing::Refuse);
  }
  EXPECT_THAT(folder.names(), ElementsAre("shared", "there"));
  EXPECT_TRUE(fs::is_empty(folder / "there"));
  EXPECT_TRUE(fs::exists(folder / "shared" / "theirs"));
}

TEST(OutputSet, KeepsItsFoldersAfterCommit) {
  const TempFolder folder;
  {
    OutputSet outputs(Existing::Refuse);
    outputs.dir(folder / "new" / "empty");
    outputs.commit();
  }
  EXPECT_TRUE(fs::is_empty(folder / "new" / "empty"));
}

TEST(OutputSet, AFolderIsNoFileAndNoLink) {
  const TempFolder folder;
  write_file(folder / "file", {}, Existing::Refuse);
  fs::create_directory_symlink(".", folder / "link");
  OutputSet outputs(Existing::Replace);
  EXPECT_ERROR(Io, "file exists and is not a folder", (outputs.dir(folder / "file"), 0));
  EXPECT_ERROR(Io, "link exists and is not a folder", (outputs.dir(folder / "link"), 0));
  EXPECT_ERROR(Io, "File name too long", (outputs.dir(folder / "new" / std::string(300, 'a')), 0));
  EXPECT_FALSE(fs::exists(folder / "new")) << "a folder that was made for one that cannot be";
}

TEST(OutputSet, KeepsADescriptorForEachFileAndOneForAllTexts) {
  const TempFolder folder;
  const auto before = open_now();
  OutputSet outputs(Existing::Refuse);
  const Fd& first = outputs.file(folder / "first");
  const int number = first.get();
  for (int i = 0; i < 40; ++i) outputs.file(folder / ("f" + std::to_string(i)));
  for (int i = 0; i < 40; ++i) outputs.write(folder / ("t" + std::to_string(i)), "x");
  EXPECT_EQ(open_now(), before + 41 + 1);
  EXPECT_EQ(first.get(), number) << "the reference holds";
}

// Each call that writes, syncs or names fails once: all of the files are there or none.
TEST(OutputSet, AFailedCallLeavesAllOrNothing) {
  std::size_t failures = 0;
  for (std::size_t which = 0;; ++which) {
    const TempFolder folder;
    std::size_t made = 0;
    {
      OutputSet outputs(Existing::Refuse);
      outputs.dir(folder / "new");
      SpyScope spy;
      spy->fail = [&](const FileCall& call) { return call.call != "unlink" && made++ == which ? ENOSPC : 0; };
      try {
        put(outputs.file(folder / "new" / "a"), "1");
        outputs.write(folder / "new" / "b", "2");
        outputs.commit();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), "disk-full") << error.what();
        ++failures;
      }
    }
    if (made <= which) break;
    EXPECT_THAT(folder.names(), IsEmpty()) << "call " << which;
  }
  EXPECT_GE(failures, 8U) << "two writes, two syncs, two names, two folders";
}

// Blocks that a file has on the disk, in bytes.
std::uint64_t allocated(const Fd& file) {
  struct stat status{};
  EXPECT_EQ(fstat(file.get(), &status), 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

TEST(Reserve, TakesRoomAndLeavesTheSize) {
  const TempFolder folder;
  constexpr std::uint64_t kSize = (1 << 20) + 1;
  OutputSet outputs(Existing::Refuse);
  const Fd& file = outputs.file(folder / "a");
  if (is_in_memory(file) || fallocate(outputs.file(folder / "b").get(), 0, 0, 1) != 0)
    GTEST_SKIP() << "a file system without reservations";
  reserve(file, kSize);
  EXPECT_EQ(file_size(file), 0U);
  EXPECT_GE(allocated(file), kSize);
}

TEST(Reserve, RefusesWhatNoFileCanHave) {
  const TempFolder folder;
  OutputSet outputs(Existing::Refuse);
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  EXPECT_ERROR(Io,
               "no room for 4611686018427387904 bytes: ", (reserve(outputs.file(folder / "a"), kMost), 0));
}

TEST(Reserve, InMemoryLooksAtTheRoomAndTakesNone) {
  const TempFolder folder;
  constexpr std::uint64_t kRoom = 16 * kPage;
  if (geteuid() != 0 || mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "a small file system can be mounted by root only";
  {
    OutputSet outputs(Existing::Refuse);
    const Fd& file = outputs.file(folder / "a");
    reserve(file, 0);
    reserve(file, kRoom);
    EXPECT_EQ(free_room(file), kRoom) << "what is reserved in memory is taken";
    EXPECT_ERROR(Io, "no room for 65537 bytes: No space left on device", (reserve(file, kRoom + 1), 0));
    put(file, "x");
    EXPECT_ERROR(Io, "no room for 65536 bytes", (reserve(file, kRoom), 0)) << "one page is taken";
  }
  EXPECT_EQ(umount(folder.path().c_str()), 0);
}

}  // namespace
}  // namespace qpcseal
