// SPDX-License-Identifier: Apache-2.0
// Many files at once: none before commit, all after it, the last one last, and none of ours left behind.
#include "base/file_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "tests/base/expect_error.h"
#include "tests/base/syscall_spy.h"
#include "tests/base/temp_folder.h"

namespace qpcseal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::TempFolder;

std::string content(const std::filesystem::path& path) { return read_text_file(path, 1 << 20); }

TEST(FileBatch, NothingHasItsNameBeforeCommit) {
  const TempFolder folder;
  {
    FileBatch batch;
    batch.add(folder / "a", view("one"), Existing::Refuse);
    batch.add(folder / "b", view("two"), Existing::Refuse);
    EXPECT_FALSE(std::filesystem::exists(folder / "a"));
    EXPECT_EQ(batch.size(), 2U);
  }
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(FileBatch, AllAppearAtCommit) {
  const TempFolder folder;
  make_folder(folder / "sub");
  FileBatch batch(0600);
  batch.add(folder / "sub" / "a", view("one"), Existing::Refuse);
  batch.add(folder / "b", view("two"), Existing::Refuse);
  batch.commit();
  EXPECT_THAT(folder.names(), ElementsAre("b", "sub"));
  EXPECT_EQ(content(folder / "sub" / "a"), "one");
  EXPECT_EQ(std::filesystem::status(folder / "b").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(FileBatch, SyncBringsAllToTheDiskOnceAndNamesNothing) {
  const TempFolder folder;
  testing::SpyScope spy;
  FileBatch batch;
  batch.add(folder / "a", view("one"), Existing::Refuse);
  batch.add(folder / "b", view("two"), Existing::Refuse);
  const auto syncs = [&] { return std::ranges::count(spy->calls, "fsync file"); };
  batch.sync();
  EXPECT_EQ(syncs(), 2);
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
  batch.commit();
  EXPECT_EQ(syncs(), 2);
  EXPECT_EQ(content(folder / "b"), "two");
}

// What is synced in a folder whose name is not on the disk is lost with it.
TEST(FileBatch, BringsTheNamesOfItsFoldersToTheDisk) {
  const TempFolder folder;
  testing::SpyScope spy;
  std::vector<std::string> synced;
  spy->after = [&](const testing::FileCall& call) {
    if (call.call == "fsync") synced.push_back(call.file);
  };
  FileBatch batch;
  batch.dir(folder / "new");
  batch.add(folder / "new" / "a", view("one"), Existing::Refuse);
  EXPECT_TRUE(std::ranges::find(synced, folder.path().string()) == synced.end());
  batch.commit();
  EXPECT_THAT(synced, ::testing::Contains(folder.path().string()));
  EXPECT_THAT(synced, ::testing::Contains((folder / "new").string()));
}

TEST(FileBatch, RefusesAndReplaces) {
  const TempFolder folder;
  write_file(folder / "a", view("old"), Existing::Refuse);
  FileBatch refusing;
  EXPECT_ERROR(Io, "exists", refusing.add(folder / "a", view("new"), Existing::Refuse));
  FileBatch replacing;
  replacing.add(folder / "a", view("new"), Existing::Replace);
  replacing.commit();
  EXPECT_EQ(content(folder / "a"), "new");
}

TEST(FileBatch, ANameThatIsTakenMeanwhileIsKept) {
  const TempFolder folder;
  {
    FileBatch batch;
    batch.add(folder / "a", view("ours"), Existing::Refuse);
    batch.add(folder / "b", view("ours"), Existing::Refuse);
    batch.add(folder / "c", view("ours"), Existing::Refuse);
    write_file(folder / "b", view("theirs"), Existing::Refuse);
    EXPECT_ERROR(Io, "exists", batch.commit());
  }
  EXPECT_THAT(folder.names(), ElementsAre("a", "b"));
  EXPECT_EQ(content(folder / "b"), "theirs");
}

TEST(FileBatch, KeepsOneDescriptor) {
  const TempFolder folder;
  const auto open_now = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = open_now();
  FileBatch batch;
  for (int i = 0; i < 300; ++i) batch.add(folder / std::to_string(i), view("x"), Existing::Refuse);
  EXPECT_EQ(open_now(), before + 1);
  batch.commit();
  EXPECT_EQ(open_now(), before);
  EXPECT_EQ(folder.names().size(), 300U);
}

TEST(FileBatch, TakesTheLongestNamesAndRefusesLongerOnesAtOnce) {
  const TempFolder folder;
  FileBatch batch;
  batch.add(folder / std::string(255, 'x'), view("x"), Existing::Refuse);
  EXPECT_ERROR(Io, "too long", batch.add(folder / std::string(256, 'x'), view("x"), Existing::Refuse));
  batch.commit();
  EXPECT_THAT(folder.names(), ElementsAre(std::string(255, 'x')));
}

TEST(PublishFolder, NeverTakesThePlaceOfTheFolderAroundIt) {
  const TempFolder folder;
  const auto outer = folder / "out", inner = outer / ".new";
  std::filesystem::create_directories(inner);
  write_file(outer / "precious", view("x"), Existing::Refuse);
  for (const auto& to : {outer, outer / ""}) {
    EXPECT_ERROR(Internal, "the folder around it", publish_folder(inner, to, Existing::Replace));
    EXPECT_ERROR(Io, "exists", publish_folder(inner, to, Existing::Refuse));
  }
  EXPECT_TRUE(std::filesystem::exists(outer / "precious"));
}

TEST(FileBatch, TakesBackWhatAppeared) {
  const TempFolder folder;
  write_file(folder / "a", view("old"), Existing::Refuse);
  FileBatch batch;
  batch.add(folder / "a", view("new"), Existing::Replace);
  batch.add(folder / "b", view("ours"), Existing::Refuse);
  batch.add(folder / "c", view("ours"), Existing::Refuse);
  write_file(folder / "c", view("theirs"), Existing::Refuse);
  EXPECT_ERROR(Io, "exists", batch.commit());
  batch.take_back();
  EXPECT_FALSE(std::filesystem::exists(folder / "b"));
  EXPECT_EQ(content(folder / "a"), "new") << "the old one is gone";
  EXPECT_EQ(content(folder / "c"), "theirs");
}

// Each call that names or syncs fails once: without commit nothing appears, and nothing stays behind.
TEST(FileBatch, AFailedCallLeavesNothing) {
  for (std::size_t which = 0;; ++which) {
    const TempFolder folder;
    std::size_t made = 0;
    {
      testing::SpyScope spy;
      spy->fail = [&](const testing::FileCall& call) {
        return call.call != "unlink" && made++ == which ? ENOSPC : 0;
      };
      try {
        FileBatch batch;
        batch.add(folder / "a", view("one"), Existing::Refuse);
        batch.add(folder / "b", view("two"), Existing::Refuse);
        try {
          batch.commit();
        } catch (const Error&) {
          batch.take_back();
          throw;
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Io);
      }
    }
    if (made <= which) break;
    SCOPED_TRACE(which);
    const auto names = folder.names();
    EXPECT_TRUE(names.empty() || names == std::vector<std::string>({"a", "b"})) << names.front();
  }
}

}  // namespace
}  // namespace qpcseal
