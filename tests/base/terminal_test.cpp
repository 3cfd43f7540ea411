// SPDX-License-Identifier: Apache-2.0
// Text laid out for a terminal.
#include "base/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include "base/fd.h"

namespace qpcseal {
namespace {

TEST(WrapLines, BreaksBetweenWords) {
  EXPECT_EQ(wrap_lines("one two three four", 9), "one two\nthree\nfour");
  EXPECT_EQ(wrap_lines("one two\nthree four\n", 10), "one two\nthree four\n");
}

TEST(WrapLines, KeepsWhatFits) {
  EXPECT_EQ(wrap_lines("one  two   three", 16), "one  two   three");
  EXPECT_EQ(wrap_lines("", 10), "");
  EXPECT_EQ(wrap_lines("\n\n", 10), "\n\n");
}

TEST(WrapLines, ChangesNothingWithoutAWidth) {
  const std::string text(500, 'x');
  EXPECT_EQ(wrap_lines(text + " y", 0), text + " y");
}

TEST(WrapLines, KeepsALongWordWhole) {
  EXPECT_EQ(wrap_lines("a 0123456789abcdef b", 8), "a\n0123456789abcdef\nb");
}

TEST(WrapLines, HangsBelowTheIndentation) {
  EXPECT_EQ(wrap_lines("  one two three", 10), "  one two\n  three");
}

TEST(WrapLines, HangsBelowTheLastColumnOfATable) {
  EXPECT_EQ(wrap_lines("id  ok  one two three four", 18), "id  ok  one two\n        three four");
}

TEST(WrapLines, HangsBelowNothingThatIsFarToTheRight) {
  EXPECT_EQ(wrap_lines("long-id  fine-word  one two", 20), "long-id  fine-word\n         one two");
  EXPECT_EQ(wrap_lines("a-very-long-id  one two", 20), "a-very-long-id  one\ntwo");
}

TEST(WrapLines, CountsLettersAndNotBytes) { EXPECT_EQ(wrap_lines("äöü äöü äöü", 7), "äöü äöü\näöü"); }

TEST(WrapLines, EndsNoLineWithABlank) { EXPECT_EQ(wrap_lines("one two   three", 8), "one two\nthree"); }

TEST(Cut, LeavesNothingOut) {
  const std::vector<std::string> whole{""}, one{"abcd"}, two{"abc ", " def"};
  EXPECT_EQ(cut("", 4), whole);
  EXPECT_EQ(cut("abcd", 4), one);
  EXPECT_EQ(cut("abc  def", 4), two);
  EXPECT_EQ(cut("aöö", 3), (std::vector<std::string>{"aö", "ö"}));
}

TEST(Cut, TakesALetterThatIsWiderThanTheLine) {
  EXPECT_EQ(cut("試験", 1), (std::vector<std::string>{"試", "験"}));
}

TEST(TerminalSize, IsUnknownOfAFile) {
  const Fd file(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(terminal_size(file.get()).columns, 0U);
  EXPECT_EQ(terminal_size(file.get()).rows, 0U);
}

TEST(TerminalSize, IsWhatTheTerminalSays) {
  const Fd leader(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!leader) GTEST_SKIP() << "no pseudo-terminal";
  const winsize size{12, 34, 0, 0};
  ASSERT_EQ(ioctl(leader.get(), TIOCSWINSZ, &size), 0);
  EXPECT_EQ(terminal_size(leader.get()).columns, 34U);
  EXPECT_EQ(terminal_size(leader.get()).rows, 12U);
}

}  // namespace
}  // namespace qpcseal
