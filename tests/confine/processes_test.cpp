// SPDX-License-Identifier: Apache-2.0
// Processes and open files of a pid namespace, counted from outside.
#include "confine/processes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/pipe.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::confine {
namespace {

constexpr std::size_t kFile = std::size_t{1} << 20;  // bytes

// A pid namespace of its own, whose first process does `act` and then sleeps until this object ends. Root
// alone can make one everywhere.
class OwnNamespace {
 public:
  explicit OwnNamespace(const std::function<void()>& act) {
    Pipe ready;
    maker_ = fork();
    if (maker_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (unshare(CLONE_NEWPID) != 0) _exit(1);
      const pid_t first = fork();
      if (first == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        act();
        tell(ready.write, 0);
        for (;;) pause();
      }
      tell(ready.write, first);
      for (;;) pause();
    }
    ready.write = Fd();
    for (pid_t got = 0, i = 0; i < 2 && read(ready.read.get(), &got, sizeof got) == sizeof got; ++i)
      if (got != 0) first_ = got;
  }
  ~OwnNamespace() {
    if (first_ > 0) kill(static_cast<pid_t>(first_), SIGKILL);
    kill(maker_, SIGKILL);
    waitpid(maker_, nullptr, 0);
  }
  OwnNamespace(const OwnNamespace&) = delete;
  OwnNamespace& operator=(const OwnNamespace&) = delete;
  // Its first process, as it is numbered outside; 0: there can be none here.
  [[nodiscard]] long first() const { return first_; }

 private:
  static void tell(const Fd& pipe, pid_t what) { static_cast<void>(!write(pipe.get(), &what, sizeof what)); }
  pid_t maker_ = -1;
  long first_ = 0;
};

constexpr const char* kNoNamespace = "this account makes no pid namespace";

TEST(AllTasks, CountsSleepingThreadsToo) {
  constexpr std::size_t kThreads = 50;
  std::mutex mutex;
  std::condition_variable_any wake;
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < kThreads; ++i)
    threads.emplace_back([&](const std::stop_token& stop) {
      std::unique_lock lock(mutex);
      wake.wait(lock, stop, [] { return false; });
    });
  EXPECT_GT(all_tasks(), kThreads);
}

TEST(ProcessesWith, CountsANamespaceUpToOneAboveTheMost) {
  const OwnNamespace three([] {
    for (int i = 0; i < 2; ++i)
      if (fork() == 0)
        for (;;) pause();
  });
  if (three.first() == 0) GTEST_SKIP() << kNoNamespace;
  EXPECT_EQ(processes_with(three.first(), 64), 3U);
  EXPECT_EQ(processes_with(three.first(), 3), 3U);
  EXPECT_EQ(processes_with(three.first(), 2), 3U);
  EXPECT_EQ(processes_with(three.first(), 1), 2U);
  EXPECT_EQ(processes_with(three.first(), 0), 1U);
}

TEST(ProcessesWith, CountsNothingOfAProcessThatHasEnded) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(processes_with(child, 64), 0U);
  EXPECT_EQ(bytes_without_name(child, {}), 0U);
}

// An open file without a name, of kFile bytes.
int open_nameless(const std::filesystem::path& folder) {
  const int out = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  const std::vector<char> bytes(kFile, 'x');
  return out >= 0 && write(out, bytes.data(), kFile) == static_cast<ssize_t>(kFile) && fsync(out) == 0 ? out
                                                                                                       : -1;
}

dev_t device_of(const std::filesystem::path& path) {
  struct stat status{};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return status.st_dev;
}

// As much as `kFile` takes with the file system's own blocks.
void expect_files(std::uint64_t bytes, std::uint64_t count) {
  EXPECT_GE(bytes, count * kFile);
  EXPECT_LT(bytes, (count * kFile) + (kFile / 2));
}

class WithoutName : public ::testing::Test {
 protected:
  void SetUp() override {
    const int trial = open_nameless(folder.path());
    if (trial < 0) GTEST_SKIP() << "a file system that names all files";
    close(trial);
  }
  // What the processes of a namespace hold after `act`; -1: there is no namespace.
  void expect_held(const std::function<void()>& act, std::uint64_t count) {
    const OwnNamespace space(act);
    if (space.first() == 0) GTEST_SKIP() << kNoNamespace;
    expect_files(bytes_without_name(space.first(), {device_of(folder.path())}), count);
  }
  const qpcseal::testing::TempFolder folder;
};

TEST_F(WithoutName, EachFileCountsOnceWhoeverHoldsIt) {
  expect_held(
      [&] {
        const int held = open_nameless(folder.path());
        static_cast<void>(dup(held));
        open_nameless(folder.path());
        if (fork() == 0)  // holds the same two
          for (;;) pause();
      },
      2);
}

TEST_F(WithoutName, FilesWithANameAndThoseOfOtherFileSystemsDoNotCount) {
  expect_held(
      [&] {
        open_nameless(folder.path());
        write_file(folder / "named", Bytes(kFile), Existing::Refuse);
        static_cast<void>(open((folder / "named").c_str(), O_RDONLY | O_CLOEXEC));
        const int memory = memfd_create("memory", MFD_CLOEXEC);
        static_cast<void>(!ftruncate(memory, kFile));
        static_cast<void>(fallocate(memory, 0, 0, kFile));
      },
      1);
}

TEST_F(WithoutName, FilesCountThatWereRemovedWhileTheyAreOpen) {
  expect_held(
      [&] {
        write_file(folder / "gone", Bytes(kFile, 1), Existing::Refuse);
        static_cast<void>(open((folder / "gone").c_str(), O_RDONLY | O_CLOEXEC));
        unlink((folder / "gone").c_str());
      },
      1);
}

}  // namespace
}  // namespace qpcseal::confine
