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

}  // namespace
}  // namespace qpcseal
