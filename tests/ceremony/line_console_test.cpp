// SPDX-License-Identifier: Apache-2.0
// The console of a ceremony on standard input: lines, "stop", the end of the input, and signals.
#include "appliance/cli/output/line_console.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <stdexcept>

#include "tests/base/expect_error.h"

namespace qpcseal::cli {
namespace {

// Standard input has this text, and then ends.
class Typed {
 public:
  explicit Typed(const std::string& text) {
    int ends[2] = {-1, -1};
    if (pipe(ends) != 0 || write(ends[1], text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      throw std::runtime_error("no pipe");
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    close(ends[1]);
  }
  ~Typed() {
    dup2(before_, STDIN_FILENO);
    close(before_);
  }
  Typed(const Typed&) = delete;
  Typed& operator=(const Typed&) = delete;

 private:
  int before_ = dup(STDIN_FILENO);
};

TEST(LineConsole, TakesOneLineForEachQuestion) {
  const Typed input("go\r\nA.A.\n\nStop\nstop it\n");
  LineConsole console;
  ceremony::Console& people = console;
  for (const char* line : {"go", "A.A.", "", "Stop", "stop it"}) EXPECT_EQ(people.ask("? "), line);
}

TEST(LineConsole, WritesWhatIsSaidAndAskedOnStandardError) {
  const Typed input("yes\n");
  LineConsole console;
  ::testing::internal::CaptureStderr();
  console.say("a line\n");
  static_cast<void>(console.ask("type Yes: "));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "a line\ntype Yes: ");
}

TEST(LineConsole, StopsAtTheWordAndAtTheEnd) {
  const Typed input("stop\nhalf a line");
  LineConsole console;
  EXPECT_ERROR(Usage, "stopped: 'stop' was typed", console.ask("? "));
  EXPECT_ERROR(Usage, "stopped: the input ended", console.ask("? "));
  EXPECT_ERROR(Usage, "stopped: the input ended", console.ask("? "));
}

TEST(LineConsole, TakesLinesUpToItsLimit) {
  const Typed input(std::string(1024, 'a') + "\n" + std::string(1025, 'b') + "\n");
  LineConsole console;
  EXPECT_EQ(console.ask("? "), std::string(1024, 'a'));
  EXPECT_ERROR(Usage, "stopped: an answer of more than 1024 bytes", console.ask("? "));
}

TEST(LineConsole, KeepsLettersAndNoControls) {
  const Typed input("\xc3\xa4 \x1b[2J\n");
  LineConsole console;
  const std::string answer = console.ask("? ");
  EXPECT_EQ(answer.find('\x1b'), std::string::npos);
  EXPECT_EQ(answer.substr(0, 3), "\xc3\xa4 ");
}

// In a process of its own: a signal stops every prompt that follows. One that a shell had ignored, as of a
// job in the background, would stay ignored.
[[noreturn]] void ask_after(int signal) {
  std::signal(signal, SIG_DFL);
  const Typed input("go\n");
  LineConsole console;
  static_cast<void>(raise(signal));
  try {
    static_cast<void>(console.ask("? "));
  } catch (const Error& error) {
    std::cerr << error.what();
    _exit(error.kind() == ErrorKind::Interrupted ? 7 : 1);
  }
  _exit(0);
}

TEST(LineConsole, StopsAtTheNextPromptAfterASignal) {
  EXPECT_EXIT(ask_after(SIGINT), ::testing::ExitedWithCode(7), "stopped: interrupted \\(Ctrl-C\\)");
  EXPECT_EXIT(ask_after(SIGHUP), ::testing::ExitedWithCode(7), "stopped: the terminal was closed");
  EXPECT_EXIT(ask_after(SIGTERM), ::testing::ExitedWithCode(7), "stopped: the program was told to end");
}

TEST(NonInteractiveConsole, AnswersAsAPlanIsFollowed) {
  NonInteractiveConsole console;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(console.ask("  type 'go' to do it: "), "go");
  EXPECT_EQ(console.ask("  type 'done' when it is done: "), "done");
  EXPECT_EQ(console.ask("type Yes to begin: "), "Yes");
  EXPECT_EQ(console.ask("  witness, your initials: "), "rehearsal");
  EXPECT_EQ(console.ask("  deviation from the plan (Enter for none): "), "");
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("type 'go' to do it: go\n"), std::string::npos);
}

}  // namespace
}  // namespace qpcseal::cli
