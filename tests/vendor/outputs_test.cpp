// SPDX-License-Identifier: Apache-2.0
// What is taken of a tool's folder; and that nothing but an Exposure hands a key out.
#include "appliance/vendor/outputs.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <type_traits>

#include "appliance/keys/expose_mek.h"
#include "appliance/release/exposure.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "tests/base/temp_folder.h"
#include "tests/process/in_child.h"

namespace qpcseal::vendor {
namespace {

static_assert(!std::is_default_constructible_v<keys::ExposurePermit>);
static_assert(!std::is_constructible_v<keys::ExposurePermit, Bytes>);
static_assert(!std::is_copy_constructible_v<keys::ExposurePermit>);
static_assert(!std::is_copy_assignable_v<keys::ExposurePermit> &&
              !std::is_move_assignable_v<keys::ExposurePermit>);
static_assert(!std::is_copy_constructible_v<release::Exposure>);

class Outputs : public ::testing::Test {
 protected:
  void put(const std::string& name, std::string_view text = "x") const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    write_file(folder_ / name, view(text), Existing::Refuse);
  }
  [[nodiscard]] std::vector<vendor::ToolOutput> take() const {
    return vendor::take_outputs(folder_.path(), {8, 1000});
  }
  void expect_refused(const std::string& observed) const {
    try {
      static_cast<void>(take());
      FAIL() << "taken: " << observed;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Denied);
      ASSERT_FALSE(error.findings().empty());
      EXPECT_EQ(error.findings().front().id, "EXP-OUTPUT");
      EXPECT_EQ(error.findings().front().observed, observed);
    }
  }
  qpcseal::testing::TempFolder folder_;
};

TEST_F(Outputs, TakesPlainFilesAndListsThemByName) {
  put("programqpc.bin", "model");
  put("device0/MEK.encrypt", "key");
  put("a/b/c");
  const auto taken = take();
  ASSERT_EQ(taken.size(), 3U);
  EXPECT_EQ(taken.at(0).name, "a/b/c");
  EXPECT_EQ(taken.at(1).name, "device0/MEK.encrypt");
  EXPECT_EQ(taken.at(2).name, "programqpc.bin");
  EXPECT_EQ(taken.at(2).size, 5U);
  EXPECT_EQ(taken.at(2).sha256, sha256_hex(std::string("model")));
}

TEST_F(Outputs, GivesThemOrdinaryModes) {
  put("a");
  chmod((folder_ / "a").c_str(), 0777);
  static_cast<void>(take());
  struct stat status{};
  ASSERT_EQ(stat((folder_ / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0644U);
}

TEST_F(Outputs, RefusesNothingAtAll) { expect_refused("empty"); }

TEST_F(Outputs, RefusesLinks) {
  std::filesystem::create_symlink("/etc/passwd", folder_ / "a");
  expect_refused("no regular file");
}

TEST_F(Outputs, RefusesLinkedFolders) {
  std::filesystem::create_directory_symlink("/etc", folder_ / "a");
  expect_refused("no regular file");
}

TEST_F(Outputs, RefusesSecondNames) {
  put("a");
  std::filesystem::create_hard_link(folder_ / "a", folder_ / "b");
  expect_refused("a file of several names");
}

TEST_F(Outputs, RefusesPipes) {
  ASSERT_EQ(mkfifo((folder_ / "a").c_str(), 0600), 0);
  expect_refused("no regular file");
}

TEST_F(Outputs, RefusesDevices) {
  if (geteuid() != 0) GTEST_SKIP() << "only root makes one";
  ASSERT_EQ(mknod((folder_ / "a").c_str(), S_IFCHR | 0666, makedev(1, 5)), 0);
  expect_refused("no regular file");
}

TEST_F(Outputs, RefusesSetId) {
  for (const unsigned mode : {04755U, 02755U, 01755U}) {
    std::filesystem::remove(folder_ / "a");
    put("a");
    ASSERT_EQ(chmod((folder_ / "a").c_str(), mode), 0);
    expect_refused("set-id");
  }
}

TEST_F(Outputs, RefusesOddNames) {
  const std::string begins = "one that begins with '.' or '-'", other = "one with other characters";
  const std::vector<std::pair<std::string, std::string>> names = {
      {".hidden", begins}, {"-rf", begins},     {"a b", other},
      {"a\nb", other},     {"\xc3\xa9", other}, {std::string(65, 'a'), "too long"}};
  for (const auto& [name, why] : names) {
    put(name);
    expect_refused(why);
    std::filesystem::remove(folder_ / name);
  }
}

TEST_F(Outputs, RefusesNamesThatCouldBeAKey) {
  for (const std::string name :
       {"000102030405060708090a0b0c0d0e0f", "x-0123456789ABCDEF.bin", "AAECAwQFBgcICQoLDA0ODw"}) {
    put(name);
    expect_refused("one that could be a key's bytes");
    std::filesystem::remove(folder_ / name);
  }
  put("000102030405060708090a0b0c0d0e0f/a");
  expect_refused("one that could be a key's bytes");
}

TEST_F(Outputs, TakesTheGuidesNames) {
  for (const char* name :
       {"programqpc.bin", "MEK.encrypt", "MEK.nonce", "MEK.pub", "config.json", "networkdesc.bin"})
    put(name);
  EXPECT_EQ(take().size(), 6U);
}

TEST_F(Outputs, NeverQuotesWhatItRefuses) {
  const std::string told = "5a5a5a5a5a5a5a5";  // short enough for a name of its own
  put(told);
  ASSERT_EQ(chmod((folder_ / told).c_str(), 04755), 0);
  put("." + told);
  std::filesystem::create_symlink("/etc/passwd", folder_ / (told + "b"));
  std::filesystem::create_hard_link(folder_ / ("." + told), folder_ / (told + "c"));
  try {
    static_cast<void>(take());
    FAIL() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find(told), std::string::npos) << error.what();
    EXPECT_EQ(error.findings().size(), 4U);
    for (const Finding& finding : error.findings())
      EXPECT_EQ((finding.claim + finding.observed + finding.expected).find(told), std::string::npos);
  }
}

TEST_F(Outputs, RefusesThreeFolders) {
  put("a/b/c/d");
  expect_refused("a folder too deep");
}

TEST_F(Outputs, RefusesTooMany) {
  for (int i = 0; i < 9; ++i) put("a" + std::to_string(i));
  expect_refused("fuller");
}

TEST_F(Outputs, RefusesTooMuch) {
  put("a", std::string(600, 'a'));
  put("b", std::string(600, 'b'));
  expect_refused("more");
}

TEST_F(Outputs, RefusesMoreNamesThanAnEntryLists) {
  const std::string deep = std::string(60, 'x') + "/" + std::string(60, 'y') + "/" + std::string(60, 'z');
  for (int i = 100; i < 280; ++i) put(deep + std::to_string(i));
  try {
    static_cast<void>(vendor::take_outputs(folder_.path(), {400, 1000}));
    FAIL() << "taken";
  } catch (const Error& error) {
    ASSERT_FALSE(error.findings().empty());
    EXPECT_EQ(error.findings().front().claim, "all names together");
  }
}

TEST_F(Outputs, TellsWhatCannotBeLookedInto) {
  if (geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  put("shut/a");
  ASSERT_EQ(chown((folder_ / "shut").c_str(), 65534, 65534), 0);
  ASSERT_EQ(chmod((folder_ / "shut").c_str(), 0111), 0);
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  EXPECT_EQ(
      process::tests::in_child([&] {
        if (setgid(65534) != 0 || setuid(65534) != 0) return 9;
        return vendor::over_limits(folder_.path(), {8, 1000}) == "made a folder that cannot be read" ? 0 : 1;
      }),
      0);
}

TEST_F(Outputs, TellsWhileItGrows) {
  EXPECT_EQ(vendor::over_limits(folder_.path(), {8, 100000}), "");
  for (int i = 0; i < 9; ++i) put("a" + std::to_string(i));
  EXPECT_EQ(vendor::over_limits(folder_.path(), {8, 100000}), "made more than 8 files and folders");
  EXPECT_EQ(vendor::over_limits(folder_.path(), {20, 100}), "wrote more than 100 bytes into its folder");
}

TEST_F(Outputs, TellsThatTheFileSystemIsFull) {
  if (geteuid() != 0) GTEST_SKIP() << "only root mounts";
  EXPECT_EQ(
      process::tests::in_child([&] {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("none", folder_.path().c_str(), "tmpfs", 0, "size=3m") != 0)
          return 9;
        return vendor::over_limits(folder_.path(), {8, 1 << 30}) == "left no room in its folder's file system"
                   ? 0
                   : 1;
      }),
      0);
}

}  // namespace
}  // namespace qpcseal::vendor
