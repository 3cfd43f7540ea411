// SPDX-License-Identifier: Apache-2.0
// Temporary names: known, held while their maker lives, and removed when nobody holds them.
#include "base/temporary.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "base/file_batch.h"
#include "base/remove_tree.h"
#include "tests/base/syscall_spy.h"
#include "tests/base/temp_folder.h"
#include "tests/process/in_child.h"

namespace qpcseal {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::TempFolder;

// Runs `act` in a process that is killed when it is done.
template <typename Act>
void killed_after(Act act) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    act();
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(TemporaryName, IsKnownByItsForm) {
  EXPECT_TRUE(is_temporary_name(".out.tmp-qpcseal-0123456789ab"));
  EXPECT_TRUE(is_temporary_name("..tmp-qpcseal-0123456789ab"));
  for (const char* other :
       {"out.tmp-qpcseal-0123456789ab", ".out.tmp-qpcseal-0123456789a", ".out.tmp-0123456789ab",
        ".out.tmp-qpcseal-0123456789AB", ".out.tmp-qpcseal-0123456789abc", ".out", "", "."})
    EXPECT_FALSE(is_temporary_name(other)) << other;
}

TEST(TemporaryName, FitsWhateverTheFinalNameIs) {
  const TempFolder folder;
  std::string umlauts;
  while (umlauts.size() < 254) umlauts += "\xc3\xa4";
  for (const std::string& name : {std::string(255, 'x'), umlauts}) {
    const TemporaryFile made = create_temporary(folder / name, 0600);
    EXPECT_TRUE(is_temporary_name(made.name.filename().string()));
    EXPECT_TRUE(fs::exists(made.name));
    unlink(made.name.c_str());
  }
  const TemporaryFile made = create_temporary(folder / umlauts, 0600);
  const std::string kept = made.name.filename().string();
  EXPECT_EQ(kept.find(".tmp-qpcseal-") % 2, 1U) << "half a character: exFAT takes no such name";
}

TEST(Leftovers, AreRemovedAndNothingElseIs) {
  const TempFolder folder;
  killed_after([&] {  // first: a batch removes what it finds
    FileBatch batch;
    batch.add(folder / "a", view("one"), Existing::Refuse);
    batch.add(folder / "b", view("two"), Existing::Refuse);
    raise(SIGKILL);
  });
  killed_after([&] { static_cast<void>(create_temporary(folder / "out", 0600).fd.get()); });
  std::ofstream(folder / ".note.tmp-0123456789ab") << "somebody's";
  fs::create_symlink("nowhere", folder / ".link.tmp-qpcseal-0123456789ab");
  ASSERT_THAT(folder.names(), SizeIs(4));
  remove_leftovers(folder.path());
  EXPECT_THAT(folder.names(), ElementsAre(".link.tmp-qpcseal-0123456789ab", ".note.tmp-0123456789ab"));
}

TEST(Leftovers, AreNoneWhileTheirMakerLives) {
  const TempFolder folder;
  const TemporaryFile file = create_temporary(folder / "out", 0600);
  FileBatch batch;
  batch.add(folder / "a", view("one"), Existing::Refuse);
  remove_leftovers(folder.path());
  EXPECT_THAT(folder.names(), SizeIs(2));
  batch.commit();
  EXPECT_TRUE(fs::exists(folder / "a"));
  EXPECT_TRUE(fs::exists(file.name));
  unlink(file.name.c_str());
}

// Between the making of a file and its lock another run may take it for a leftover.
TEST(Leftovers, AFileThatIsTakenForOneIsMadeAgain) {
  const TempFolder folder;
  testing::SpyScope spy;
  int locks = 0;
  spy->fail_quiet = [&](const testing::FileCall& call) {
    if (call.call == "flock" && locks++ == 0) unlink(call.file.c_str());
    return 0;
  };
  AtomicFile file(folder / "out", Existing::Replace);
  EXPECT_EQ(locks, 2);
  write_exact(file.fd(), view("x"), 0);
  file.commit();
  EXPECT_EQ(read_text_file(folder / "out", 10), "x");
}

TEST(Leftovers, GoWhenTheFolderIsWrittenToNext) {
  const TempFolder folder;
  killed_after([&] { static_cast<void>(create_temporary(folder / "model", 0600)); });
  write_file(folder / "other", view("x"), Existing::Refuse);
  EXPECT_THAT(folder.names(), ElementsAre("other"));
}

TEST(Leftovers, StayOnAMediumWithoutLocks) {
  const TempFolder folder;
  testing::SpyScope spy;
  spy->fail_quiet = [](const testing::FileCall& call) { return call.call == "flock" ? ENOLCK : 0; };
  const TemporaryFile file = create_temporary(folder / "out", 0600);
  remove_leftovers(folder.path());
  EXPECT_TRUE(fs::exists(file.name)) << "nothing says that nobody writes it";
}

TEST(RemoveTree, RemovesFoldersOfAnyModeAndFollowsNoLink) {
  if (geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  const TempFolder temp;
  ASSERT_EQ(chown(temp.path().c_str(), 65534, 65534), 0);
  write_file(temp / "kept", view("x"), Existing::Refuse);
  EXPECT_EQ(process::tests::in_child([&] {
              if (setgid(65534) != 0 || setuid(65534) != 0) return 9;
              const std::filesystem::path tree = temp / "tree";
              std::filesystem::create_directories(tree / "a/b");
              write_file(tree / "a/b/set-id", view("x"), Existing::Refuse);
              std::filesystem::create_symlink("../kept", tree / "link");
              std::filesystem::create_directory_symlink("..", tree / "a/up");
              for (const char* name : {"a/b", "a"})
                if (chmod((tree / name).c_str(), 0111) != 0) return 8;
              return remove_tree(tree) && !std::filesystem::exists(tree) ? 0 : 1;
            }),
            0);
  EXPECT_EQ(temp.names(), std::vector<std::string>{"kept"});
}

TEST(RemoveTree, SaysThatItCannot) {
  const TempFolder temp;
  write_file(temp / "file", view("x"), Existing::Refuse);
  EXPECT_FALSE(remove_tree(temp / "file/below"));
  EXPECT_TRUE(remove_tree(temp / "nothing"));
}

}  // namespace
}  // namespace qpcseal
