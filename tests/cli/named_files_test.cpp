// SPDX-License-Identifier: Apache-2.0
// What a command may read and write is what its line names, and not more.
#include "cli/named_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/base/temp_folder.h"
#include "tests/cli/sample_tree.h"

namespace qpcseal::cli {
namespace {

using qpcseal::testing::SampleTree;
using qpcseal::testing::TempFolder;
using std::filesystem::path;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FilesOnALine : public ::testing::Test {
 protected:
  FilesOnALine() {
    for (const char* name : {"model", "other"}) std::filesystem::create_directory(folder / name);
  }
  NamedFiles named(std::vector<std::string> words) {
    std::ranges::reverse(words);  // as CLI11 takes them
    tree.app.parse(std::move(words));
    static constexpr std::string_view kWritten[] = {"--output"};
    return named_files(chosen_command(tree.app), kWritten);
  }
  std::vector<path> read(const std::string& value) { return named({"seal", "-o", "/x", value}).read; }
  std::vector<path> written(const std::string& value) { return named({"seal", "-o", value}).write; }
  [[nodiscard]] std::string at(const std::string& name) const { return (folder / name).string(); }

  TempFolder folder;
  SampleTree tree;
};

TEST_F(FilesOnALine, AreReadWhereTheyAreThere) {
  EXPECT_THAT(read(at("model")), ElementsAre(path(at("model"))));
  EXPECT_THAT(read(at("none")), IsEmpty());
  EXPECT_THAT(named({"seal", "-o", "/x", at("model"), at("other"), at("none")}).read,
              ElementsAre(path(at("model")), path(at("other"))));
}

TEST_F(FilesOnALine, AreReadBehindAPrefixOrAName) {
  EXPECT_THAT(read("file:" + at("model")), ElementsAre(path(at("model"))));
  EXPECT_THAT(read("KEY=" + at("model")), ElementsAre(path(at("model"))));
  EXPECT_THAT(read("KEY="), IsEmpty());
  EXPECT_THAT(read("file:"), IsEmpty());
  EXPECT_THAT(read("@" + at("model")), IsEmpty()) << "no other prefix counts";
}

TEST_F(FilesOnALine, AreWrittenInTheFolderThatHoldsThem) {
  EXPECT_THAT(written(at("new")), ElementsAre(folder.path()));
  EXPECT_THAT(written(at("model")), ElementsAre(folder.path(), path(at("model")))) << "and it itself";
  EXPECT_THAT(written(at("model") + "//"), ElementsAre(folder.path(), path(at("model"))));
  EXPECT_THAT(written("/"), ElementsAre(path("/"), path("/")));
}

TEST_F(FilesOnALine, AreWrittenBelowTheLowestFolderThatIsThere) {
  EXPECT_THAT(written(at("a/b/c")), ElementsAre(folder.path())) << "a and b are made";
  EXPECT_THAT(written(at("model/b/c")), ElementsAre(path(at("model"))));
}

TEST_F(FilesOnALine, AreWrittenByNoOtherOption) {
  const NamedFiles found = named({"seal", "-o", at("new"), at("model")});
  EXPECT_THAT(found.read, ElementsAre(path(at("model"))));
  EXPECT_THAT(found.write, ElementsAre(folder.path()));
}

TEST_F(FilesOnALine, AreThoseOfTheCommandThatWasChosen) {
  EXPECT_THAT(named({"--clock", at("model"), "mek", "generate", at("other")}).read,
              ElementsAre(path(at("other"))));
  EXPECT_EQ(chosen_command(tree.app).get_name(), "generate");
  const SampleTree another;
  EXPECT_EQ(&chosen_command(another.app), &another.app) << "where none was";
}

TEST(FolderOf, HoldsTheFileWhetherOrNotItIsThere) {
  EXPECT_EQ(folder_of("/srv/a/b"), "/srv/a");
  EXPECT_EQ(folder_of("/srv/a/../b"), "/srv");
  EXPECT_EQ(folder_of("/srv/./b"), "/srv");
  EXPECT_EQ(folder_of("/a"), "/");
  EXPECT_EQ(folder_of("/"), "/");
  EXPECT_EQ(folder_of("name"), std::filesystem::current_path());
}

TEST(FolderOf, HoldsAFolderHoweverItIsWritten) {
  for (const char* name : {"/srv/a/b", "/srv/a/b/", "/srv/a/b/.", "/srv/a/b/c/.."})
    EXPECT_EQ(folder_of(name), "/srv/a") << name;
  EXPECT_EQ(folder_of("."), std::filesystem::current_path().parent_path());
  EXPECT_EQ(folder_of("/."), "/");
}

}  // namespace
}  // namespace qpcseal::cli
