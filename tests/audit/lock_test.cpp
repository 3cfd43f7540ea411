// SPDX-License-Identifier: Apache-2.0
// The appliance's lock: one holder, against the file's name, and no file but ours.
#include "appliance/audit/lock.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <memory>
#include <thread>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/syscall_spy.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

namespace fs = std::filesystem;
using testing::read_text;
using testing::TempFolder;
using testing::write_text;

TEST(Lock, HasOneHolderAndNamesIt) {
  const TempFolder dir;
  std::string told;
  {
    const Lock lock(dir / "lock", 0);
    EXPECT_EQ(read_text(dir / "lock"), std::to_string(getpid()) + "\n");
    EXPECT_ERROR(Io, "holds the lock (process " + std::to_string(getpid()) + ")",
                 Lock(dir / "lock", 0, [&](const std::string& holder) { told = holder; }));
  }
  const Lock again(dir / "lock", 0);
}

TEST(Lock, TellsOnceAndWaits) {
  const TempFolder dir;
  int told = 0;
  auto first = std::make_unique<Lock>(dir / "lock", 0);
  auto second = std::async(std::launch::async, [&] {
    const Lock lock(dir / "lock", 10, [&](const std::string&) { ++told; });
    return true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  first.reset();
  EXPECT_TRUE(second.get());
  EXPECT_EQ(told, 1);
}

TEST(Lock, IsHeldThoughItsFileIsRemoved) {
  const TempFolder dir;  // of the user alone
  const Lock lock(dir / "lock", 0);
  fs::remove(dir / "lock");
  EXPECT_ERROR(Io, "holds the lock", Lock(dir / "lock", 0));
}

// The file is replaced between its opening and its lock.
TEST(Lock, IsOfTheFileThatHasTheName) {
  const TempFolder dir;
  testing::SpyScope spy;
  bool replaced = false;
  spy->fail_quiet = [&](const testing::FileCall& call) {
    if (call.call == "flock" && !std::exchange(replaced, true)) {
      fs::rename(dir / "lock", dir / "old");
      write_text(dir / "lock", "");
    }
    return 0;
  };
  const Lock lock(dir / "lock", 0);
  EXPECT_EQ(read_text(dir / "lock"), std::to_string(getpid()) + "\n");
  EXPECT_EQ(read_text(dir / "old"), "");
}

TEST(Lock, TouchesNoFileThatIsNotOurs) {
  const TempFolder dir;
  write_text(dir / "note", "a note of somebody else\n");
  write_text(dir / "number", std::string(100, '1'));
  fs::create_symlink("note", dir / "link");
  fs::create_directory(dir / "dir");
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  for (const char* name : {"note", "number", "pipe"})
    EXPECT_ERROR(Io, "no lock of qpcseal's", Lock(dir / name, 0)) << name;
  EXPECT_ERROR(Io, "a symbolic link", Lock(dir / "link", 0));
  EXPECT_ERROR(Io, "directory", Lock(dir / "dir", 0));
  EXPECT_EQ(read_text(dir / "note"), "a note of somebody else\n");
  EXPECT_EQ(read_text(dir / "number"), std::string(100, '1'));
}

TEST(Lock, NeedsNoRoomOnTheDisk) {
  const TempFolder dir;
  testing::SpyScope spy;
  spy->fail = [](const testing::FileCall& call) { return call.call == "pwrite" ? ENOSPC : 0; };
  const Lock lock(dir / "lock", 0);
  EXPECT_ERROR(Io, "holds the lock (process unknown)", Lock(dir / "lock", 0));
}

TEST(Lock, ReadersGoWithoutWhereNobodyCanWrite) {
  const TempFolder dir;
  EXPECT_TRUE(lock_to_read(dir / "lock", 0).has_value());
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  fs::permissions(dir.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_FALSE(lock_to_read(dir / "lock", 0).has_value());
  EXPECT_ERROR(Io, "Permission denied", Lock(dir / "other", 0));
  fs::permissions(dir.path(), fs::perms::owner_all);
}

}  // namespace
}  // namespace qpcseal::audit
