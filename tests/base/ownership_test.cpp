// SPDX-License-Identifier: Apache-2.0
#include "base/ownership.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "tests/base/temp_folder.h"

namespace qpcseal {
namespace {

class Owners : public ::testing::Test {
 protected:
  void SetUp() override {
    make_folder(folder_);
    write_file(file_, view("x"), Existing::Refuse, 0600);
  }
  static void mode(const std::filesystem::path& path, mode_t mode) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  }
  [[nodiscard]] static std::string faults(const std::filesystem::path& path) {
    Ownership owners;
    owners.check(path);
    EXPECT_EQ(owners.good(), owners.mending().empty());
    return owners.faults();
  }

  testing::TempFolder temp_;  // in /tmp, which is root's, sticky, and writable by all
  std::filesystem::path folder_ = std::filesystem::canonical(temp_.path()) / "folder",
                        file_ = folder_ / "file";
};

TEST_F(Owners, OnesOwnFilesBelowAStickyFolderAreGood) {
  EXPECT_EQ(faults(file_), "");
  mode(file_, 0644);
  mode(folder_, 0755);
  EXPECT_EQ(faults(file_), "") << "others may read";
  EXPECT_EQ(faults(folder_ / "absent"), "");
}

TEST_F(Owners, FilesAndFoldersThatOthersMayWriteAreNamedWithWhatMendsThem) {
  for (const mode_t open : {0620U, 0602U, 0666U}) {
    mode(file_, open);
    EXPECT_NE(faults(file_).find("file may be written by others"), std::string::npos);
  }
  mode(folder_, 0777);
  Ownership owners;
  owners.check(folder_);
  owners.check(file_);
  EXPECT_EQ(owners.mending(), "chmod go-w " + folder_.string() + " " + file_.string());
  mode(file_, 0600);
  EXPECT_NE(faults(file_).find("folder may be written by others (mode 0777)"), std::string::npos);
}

TEST_F(Owners, AStickyFolderServesAboveAndNotAsTheThingItself) {
  mode(folder_, 01777);
  EXPECT_EQ(faults(file_), "");
  EXPECT_NE(faults(folder_), "");
  Ownership both;
  both.check(file_);
  both.check(folder_);
  EXPECT_FALSE(both.good()) << "seen above first";
}

TEST_F(Owners, ATreeIsLookedAtWhole) {
  Ownership one, whole;
  mode(file_, 0666);
  one.check(folder_);
  EXPECT_TRUE(one.good());
  whole.check_tree(folder_);
  EXPECT_FALSE(whole.good());
}

TEST_F(Owners, WhatALinkLeadsToCounts) {
  const auto link = std::filesystem::canonical(temp_.path()) / "link";
  std::filesystem::create_directory_symlink(folder_, link);
  EXPECT_EQ(faults(link / "file"), "");
  mode(folder_, 0777);
  EXPECT_NE(faults(link / "file").find("folder may be written"), std::string::npos);
}

TEST_F(Owners, FilesOfOthersAreRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  ASSERT_EQ(chown(file_.c_str(), 65534, 0), 0);
  EXPECT_NE(faults(file_).find("belongs to user"), std::string::npos);
  Ownership owners;
  owners.check(file_);
  EXPECT_EQ(owners.mending(), "chown root " + file_.string());
}

// Whoever may exchange a link on the way decides where it leads.
TEST_F(Owners, ALinkOnTheWayIsLookedAtWhereItLies) {
  const std::filesystem::path open = temp_.path() / "open", link = open / "link", by = temp_.path() / "by";
  make_folder(open);
  std::filesystem::create_directory_symlink(folder_, link);
  std::filesystem::create_directory_symlink(link, by);
  EXPECT_EQ(faults(link / "file"), "");
  mode(open, 0777);
  for (const auto& path : {link, link / "file", by / "file"})
    EXPECT_NE(faults(path).find("open may be written by others"), std::string::npos) << path;
  mode(open, 01777);
  EXPECT_EQ(faults(link / "file"), "");
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  ASSERT_EQ(lchown(link.c_str(), 65534, static_cast<gid_t>(-1)), 0);
  Ownership owners;
  owners.check(by / "file");
  EXPECT_NE(owners.faults().find("link is a link of user"), std::string::npos);
  EXPECT_TRUE(owners.mending().starts_with("chown -h ")) << owners.mending();
}

}  // namespace
}  // namespace qpcseal
