// Many files at once: none before commit, all after it, the last one last, and none of ours left behind.
#include "base/file_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
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

TEST(FileBatch, KeepsNoDescriptors) {
  const TempFolder folder;
  FileBatch batch;
  for (int i = 0; i < 3000; ++i) batch.add(folder / std::to_string(i), view("x"), Existing::Refuse);
  batch.commit();
  EXPECT_EQ(folder.names().size(), 3000U);
}

}  // namespace
}  // namespace qpcseal
