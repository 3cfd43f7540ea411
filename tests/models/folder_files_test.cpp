// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/folder_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/seal/set_manifest.h"
#include "tests/base/expect_error.h"
#include "tests/models/model_files.h"

namespace qpcseal::models {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::put;
using qpcseal::testing::TempFolder;
using qpcseal::testing::usual_qpc;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> paths(const std::vector<FolderFile>& files) {
  std::vector<std::string> out;
  for (const FolderFile& file : files) out.push_back(file.path);
  return out;
}

TEST(OwnName, IsTheLastPartOfThePath) {
  EXPECT_EQ(own_name("../model/"), "model");
  EXPECT_EQ(own_name("a/model.qpc"), "model.qpc");
  EXPECT_EQ(own_name("a/b/../model/."), "model");
  EXPECT_EQ(own_name("."), fs::current_path().filename());
}

TEST(FilesBelow, AreListedByPathBytewise) {
  const TempFolder dir;
  for (const char* name : {"b", "a/c", "a-b", "B", "a/d/e"}) put(dir / name, "x");
  EXPECT_THAT(paths(files_below(dir.path())), ElementsAre("B", "a-b", "a/c", "a/d/e", "b"));
}

TEST(FilesBelow, TellQpcsByTheirContent) {
  const TempFolder dir;
  put(dir / "a.qpc", "no QPC");
  put(dir / "b/model", usual_qpc());
  put(dir / "empty", "");
  const auto files = files_below(dir.path());
  ASSERT_EQ(files.size(), 3U);
  EXPECT_FALSE(files[0].is_qpc);
  EXPECT_TRUE(files[1].is_qpc);
  EXPECT_FALSE(files[2].is_qpc);
  EXPECT_EQ(files[1].file, dir / "b/model");
}

TEST(FilesBelow, LeaveOutNamesThatBeginWithADot) {
  const TempFolder dir;
  put(dir / ".hidden", "x");
  put(dir / ".git/config", "x");
  put(dir / "a/.b", "x");
  put(dir / "a/c", "x");
  fs::create_symlink("nowhere", dir / ".link");
  EXPECT_THAT(paths(files_below(dir.path())), ElementsAre("a/c"));
}

TEST(FilesBelow, RefuseLinksAndDevices) {
  const TempFolder dir;
  put(dir / "a/file", "x");
  fs::create_symlink("file", dir / "a/link");
  EXPECT_ERROR(Io, (dir / "a/link").string() + " is neither a file nor a folder", files_below(dir.path()));
  fs::remove(dir / "a/link");
  fs::create_directory_symlink("a", dir / "to-a");
  EXPECT_ERROR(Io, "to-a is neither a file nor a folder", files_below(dir.path())) << "to a folder";
  fs::remove(dir / "to-a");
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_ERROR(Io, "pipe is neither a file nor a folder", files_below(dir.path()));
}

TEST(FilesBelow, RefuseAFolderThatCannotBeRead) {
  const TempFolder dir;
  EXPECT_ERROR(Io, (dir / "none").string() + ": No such file", files_below(dir / "none"));
  EXPECT_ERROR(Io, ": Not a directory", files_below(put(dir / "file", "x")));
}

TEST(FilesBelow, AreAtMostAsManyAsASetHas) {
  const TempFolder dir;
  for (const char* half : {"a", "b"}) {
    fs::create_directory(dir / half);
    for (std::size_t i = 0; i < seal::kMaxSetFiles / 2; ++i)
      testing::write_text(dir.path() / half / std::to_string(i), "");
  }
  EXPECT_EQ(files_below(dir.path()).size(), 10000U);
  testing::write_text(dir / "one-more", "");
  EXPECT_ERROR(Io, "more than 10000 files", files_below(dir.path()));
}

TEST(FilesOfSet, OfOneFolderHaveNoPrefix) {
  const TempFolder dir;
  put(dir / "m/a/model.qpc", usual_qpc());
  put(dir / "m/z", "x");
  EXPECT_THAT(paths(files_of_set({dir / "m"})), ElementsAre("a/model.qpc", "z"));
}

TEST(FilesOfSet, OfSeveralInputsAreUnderTheNameOfEach) {
  const TempFolder dir;
  put(dir / "x/m/model.qpc", usual_qpc());
  put(dir / "y/n/z", "x");
  put(dir / "tokens.txt", "x");
  const auto files = files_of_set({dir / "y/n/", dir / "tokens.txt", dir / "x/m"});
  EXPECT_THAT(paths(files), ElementsAre("m/model.qpc", "n/z", "tokens.txt"));
  EXPECT_EQ(files[0].file, dir / "x/m/model.qpc");
  EXPECT_EQ(files[2].file, dir / "tokens.txt");
}

TEST(FilesOfSet, RefuseTwoOfOnePath) {
  const TempFolder dir;
  for (const char* parent : {"x", "y"}) put(dir.path() / parent / "m/model.qpc", usual_qpc());
  EXPECT_ERROR(Usage, "two of the files given would both be 'm/model.qpc'",
               files_of_set({dir / "x/m", dir / "y/m"}));
}

TEST(FilesOfSet, RefuseAPathThatNoSetHas) {
  const TempFolder dir;
  put(dir / "m/model.qpc", usual_qpc());
  put(dir / "m/seal.set", "x");
  EXPECT_ERROR(Usage, "a set has no file 'seal.set'", files_of_set({dir / "m"}));
  fs::remove(dir / "m/seal.set");
  put(dir / "m/line\nfeed", "x");
  EXPECT_ERROR(Usage, "a set has no file 'line\nfeed'", files_of_set({dir / "m"}));
  EXPECT_ERROR(Usage, "a set has no file '.model'",
               files_of_set({put(dir / ".model", usual_qpc()), dir / "m/model.qpc"}))
      << "hidden, and given by its name";
}

TEST(FilesOfSet, RefuseWhatHoldsNoQpc) {
  const TempFolder dir;
  put(dir / "m/model.qpc", "no QPC");
  EXPECT_ERROR(Usage, "nothing that was given is a QPC, or holds one", files_of_set({dir / "m"}));
}

TEST(FilesOfSet, RefuseALinkToAFolder) {
  const TempFolder dir;
  put(dir / "m/model.qpc", usual_qpc());
  fs::create_directory_symlink("m", dir / "link");
  EXPECT_ERROR(Io, "link is a symbolic link, which is not followed", files_of_set({dir / "link"}));
}

TEST(FoldersAbove, AreNamedHighestFirst) {
  EXPECT_THAT(folders_above("a/b/c"), ElementsAre("a", "a/b"));
  EXPECT_THAT(folders_above("a"), IsEmpty());
}

TEST(RefuseOtherFile, NamesTheKindThatItIs) {
  const TempFolder dir;
  const auto refuse = [&](ByteView bytes) { refuse_other_file(open_to_read(put(dir / "file", bytes))); };
  EXPECT_NO_THROW(refuse(usual_qpc()));
  EXPECT_NO_THROW(refuse(view("of no kind that is known")));
  EXPECT_NO_THROW(refuse({}));
  EXPECT_ERROR(Malformed, "this is an SSH public key, not a model (QPC)", refuse(view("ssh-ed25519 AAAA")));
}

}  // namespace
}  // namespace qpcseal::models
