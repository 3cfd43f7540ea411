// SPDX-License-Identifier: Apache-2.0
// Who reaches the folder that the tool works in, and what its taking over may replace.
#include "appliance/vendor/tool_folder.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/vendor/known_outputs.h"
#include "base/error.h"
#include "base/file.h"
#include "base/free_room.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/process/in_child.h"

namespace qpcseal::vendor {
namespace {

audit::LogCopy empty_log() {
  return {{}, {}, {}, {}, {"log.test", tlog::KeyType::Ed25519, Bytes(32, 1)}, {}, {}, 0};
}

class ToolFolders : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(chmod(temp_.path().c_str(), 0755), 0); }
  void made(const ToolFolder& dir) const { write_file(dir.path() / "a", view("x"), Existing::Refuse); }
  qpcseal::testing::TempFolder temp_;
  KnownOutputs known_{empty_log()};
  std::filesystem::path output_ = temp_ / "out";
};

TEST_F(ToolFolders, NobodyElseReachesItWhateverTheToolDoesToIt) {
  if (geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  const ToolFolder dir(output_, false, known_);
  made(dir);
  ASSERT_EQ(chmod(dir.path().c_str(), 0777), 0);  // as the tool could
  ASSERT_EQ(chmod((dir.path() / "a").c_str(), 04777), 0);
  EXPECT_EQ(process::tests::in_child([&] {
              if (setgid(65534) != 0 || setuid(65534) != 0) return 9;
              return access((dir.path() / "a").c_str(), F_OK) == 0 ? 1 : 0;
            }),
            0);
}

TEST_F(ToolFolders, BecomesTheOutputAndLeavesNothing) {
  ToolFolder dir(output_, false, known_);
  made(dir);
  dir.publish();
  EXPECT_EQ(temp_.names(), std::vector<std::string>{"out"});
  struct stat status{};
  ASSERT_EQ(stat(output_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755U);
  EXPECT_TRUE(std::filesystem::exists(output_ / "a"));
}

TEST_F(ToolFolders, TakesThePlaceOfAnEmptyFolder) {
  std::filesystem::create_directory(output_);
  ToolFolder dir(output_ / "", false, known_);
  made(dir);
  dir.publish();
  EXPECT_TRUE(std::filesystem::exists(output_ / "a"));
}

TEST_F(ToolFolders, TakesThePlaceOfNothingElse) {
  write_file(output_, view("a file"), Existing::Refuse);
  EXPECT_ERROR(Io, "is no folder", ToolFolder(output_, true, known_));
  std::filesystem::remove(output_);
  std::filesystem::create_directory(output_);
  write_file(output_ / "mine", view("precious"), Existing::Refuse);
  EXPECT_ERROR(Io, "exists", ToolFolder(output_, false, known_));
  EXPECT_ERROR(Denied, "no run of the vendor's tool", ToolFolder(output_, true, known_));
  EXPECT_EQ(temp_.names().size(), 1U) << "nothing beside it";
}

TEST_F(ToolFolders, LeavesWhatCameMeanwhile) {
  std::filesystem::create_directory(output_);
  for (const bool replace : {false, true}) {
    ToolFolder dir(output_, replace, known_);
    made(dir);
    write_file(output_ / "mine", view("precious"), Existing::Replace);
    EXPECT_THROW(dir.publish(), Error) << replace;
    EXPECT_TRUE(std::filesystem::exists(output_ / "mine")) << replace;
    std::filesystem::remove(output_ / "mine");
  }
}

TEST_F(ToolFolders, IsRehearsedAndEmptyAfterwards) {
  const ToolFolder dir(output_, false, known_);
  for (int i = 0; i < 2; ++i) dir.rehearse(1000);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  EXPECT_EQ(temp_.names().size(), 1U) << "its own alone";
}

TEST_F(ToolFolders, IsRehearsedWithRoomForTheModel) {
  const ToolFolder dir(output_, false, known_);
  EXPECT_ERROR(Io, "has no room for", dir.rehearse(free_room(temp_.path())));
}

TEST_F(ToolFolders, TakesThePlaceOfNoMountPoint) {
  if (geteuid() != 0) GTEST_SKIP() << "only root mounts";
  std::filesystem::create_directory(output_);
  EXPECT_EQ(process::tests::in_child([&] {
              if (unshare(CLONE_NEWNS) != 0 ||
                  mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                  mount(output_.c_str(), output_.c_str(), nullptr, MS_BIND, nullptr) != 0)
                return 9;
              try {
                const ToolFolder dir(output_, false, known_);
                return 1;
              } catch (const Error& error) {
                return std::string(error.what()).find("is a mount point") == std::string::npos ? 2 : 0;
              }
            }),
            0);
}

TEST_F(ToolFolders, IsGoneWithoutPublishing) {
  {
    const ToolFolder dir(output_, false, known_);
    std::filesystem::create_directory(dir.path() / "sub");
    made(dir);
  }
  EXPECT_EQ(temp_.names(), std::vector<std::string>{});
}

}  // namespace
}  // namespace qpcseal::vendor
