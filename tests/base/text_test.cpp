#include "base/text.h"

#include <gtest/gtest.h>

namespace qpcseal {
namespace {

TEST(Text, ForATerminal) {
  EXPECT_EQ(printable("a b~"), "a b~");
  EXPECT_EQ(printable("\x1b[31m\n\x7f"), "\\x1b[31m\\x0a\\x7f");
  EXPECT_EQ(printable("\xc3\xa9"), "\\xc3\\xa9");
}

TEST(Text, ForAPage) {
  EXPECT_EQ(html_text("<b a=\"1\" c='2'>&amp;"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
  EXPECT_EQ(html_text("\xc3\xa9\n"), "\xc3\xa9\n");
  EXPECT_EQ(html_text("\x1b\r\t\x7f"), "\\x1b\\x0d\\x09\\x7f");
}

TEST(ShellWord, IsOneWordWhateverItSays) {
  EXPECT_EQ(shell_word("resnet50#1"), "'resnet50#1'");
  EXPECT_EQ(shell_word("a/b-c_1.qpc"), "a/b-c_1.qpc");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("a b"), "'a b'");
  EXPECT_EQ(shell_word("q'; touch x; '"), "'q'\\''; touch x; '\\'''");
  EXPECT_EQ(shell_word("a\nb"), "'a\\x0ab'");
  EXPECT_EQ(shell_word("$(x)"), "'$(x)'");
}

}  // namespace
}  // namespace qpcseal
