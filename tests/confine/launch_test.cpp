// SPDX-License-Identifier: Apache-2.0
// From fork to bubblewrap: what it inherits, what bounds it, and what ends it before it begins. bubblewrap
// only says its version here: that needs no namespace.
#include "confine/launch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/pipe.h"
#include "confine/memory_file.h"
#include "process/system_calls.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::confine {
namespace {

constexpr int kUnstartedStatus = 127;

class Launching : public ::testing::Test {
 protected:
  void SetUp() override {
    if (access(kBubblewrap, X_OK) != 0) GTEST_SKIP() << kBubblewrap << " is not installed";
    launch.standard = {input.get(), output.get(), output.get()};
    launch.filter = process::encode_filter(process::Calls::Launcher);
    command({"bwrap", "--version"});
  }
  void command(std::vector<std::string> words) {
    words_ = std::move(words);
    launch.words.clear();
    for (std::string& word : words_) launch.words.push_back(word.data());
    launch.words.push_back(nullptr);
  }
  // How a child ended, as waitpid(2) says it, after `before`.
  int status(void (*before)() = [] {}) const {
    const pid_t child = fork();
    if (child == 0) {
      before();
      launch.become();
    }
    int out = 0;
    EXPECT_EQ(waitpid(child, &out, 0), child);
    return out;
  }
  [[nodiscard]] bool ran() const { return WIFEXITED(status()) && said().starts_with("bubblewrap "); }
  [[nodiscard]] bool is_unstarted() const {
    const int how = status();
    return WIFEXITED(how) && WEXITSTATUS(how) == kUnstartedStatus && said().empty();
  }
  [[nodiscard]] std::string said() const {
    Bytes out(file_size(output));
    read_exact(output, out, 0);
    return std::string(text_view(out));
  }

  const qpcseal::testing::TempFolder folder;
  const Fd input{open("/dev/null", O_RDONLY | O_CLOEXEC)};
  const Fd output{open((folder / "output").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  Launch launch;

 private:
  std::vector<std::string> words_;
};

TEST_F(Launching, BecomesBubblewrap) { EXPECT_TRUE(ran()); }

TEST_F(Launching, KeepsTheDescriptorsThatItIsToldTo) {
  const Fd arguments = memory_file(ByteView(view(std::string_view("--version\0", 10))));
  command({"bwrap", "--args", std::to_string(arguments.get())});
  launch.keep = {arguments.get()};
  EXPECT_TRUE(ran());
}

TEST_F(Launching, KeepsNoOther) {
  const Fd arguments = memory_file(ByteView(view(std::string_view("--version\0", 10))));
  ASSERT_EQ(fcntl(arguments.get(), F_SETFD, 0), 0) << "though exec would not close it";
  command({"bwrap", "--args", std::to_string(arguments.get())});
  status();
  EXPECT_NE(said().find("Bad file descriptor"), std::string::npos) << said();
}

TEST_F(Launching, IsNotBegunWithoutADescriptor) {
  const Launch good = launch;
  for (const std::size_t which : {0U, 1U, 2U}) {
    launch = good;
    launch.standard[which] = -1;
    EXPECT_TRUE(is_unstarted()) << which;
  }
  launch = good;
  launch.keep = {1000};
  EXPECT_TRUE(is_unstarted());
}

TEST_F(Launching, IsNotBegunWithoutAFilter) {
  launch.filter.clear();
  EXPECT_TRUE(is_unstarted());
}

// What a parent ignores or blocks would be ignored and blocked there, too.
TEST_F(Launching, HasItsSignalsAndTheLimitOfFiles) {
  launch.limits.file_size = 0;
  const int how = status([] {
    static_cast<void>(std::signal(SIGXFSZ, SIG_IGN));
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
  });
  ASSERT_TRUE(WIFSIGNALED(how));
  EXPECT_EQ(WTERMSIG(how), SIGXFSZ);
  EXPECT_EQ(said(), "");
}

TEST_F(Launching, HasTheLimitOfMemory) {
  launch.limits.memory = std::uint64_t{64} << 10;
  EXPECT_FALSE(ran());
  launch.limits.memory = std::uint64_t{1} << 30;
  EXPECT_TRUE(ran());
}

TEST_F(Launching, HasTheLimitOfOpenFiles) {
  launch.limits.open_files = 3;
  EXPECT_FALSE(ran()) << "it cannot open its libraries";
}

}  // namespace
}  // namespace qpcseal::confine
