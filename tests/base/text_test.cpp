// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include "tests/support/variable.h"

namespace qpcseal {
namespace {

using testing::Variable;

constexpr const char* kLetters = "a\u0308 \u00e9\u044f\u4e2d\u05d0\U0001f512";  // of several languages

TEST(Text, ForATerminal) {
  EXPECT_EQ(printable("a b~", Letters::Ascii), "a b~");
  EXPECT_EQ(printable("\x1b[31m\n\t\x7f", Letters::All), "\\x1b[31m\\x0a\\x09\\x7f");
  EXPECT_EQ(printable("\u00e9", Letters::Ascii), "\\xc3\\xa9");
  EXPECT_EQ(printable(kLetters, Letters::All), kLetters);
  EXPECT_EQ(printable_lines("a\n\x1b\u00e9\n", Letters::All), "a\n\\x1b\u00e9\n");
  EXPECT_EQ(printable_lines("\r\n", Letters::All), "\\x0d\n");
}

TEST(Text, ShowsWhatIsNotSeen) {
  for (const char* unseen :
       {"\u0080", "\u009b", "\u009f", "\u061c", "\u200b", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a",
        "\u202e", "\u2060", "\u2066", "\u2069", "\ufeff", "\ufff9", "\U000e0041", "\x01", "\x7f"}) {
    EXPECT_TRUE(has_unseen(std::string("a") + unseen)) << unseen;
    EXPECT_EQ(printable(unseen, Letters::All).substr(0, 2), "\\x") << unseen;
    EXPECT_EQ(printable(unseen, Letters::All), printable(unseen, Letters::Ascii));
    EXPECT_EQ(html_text(unseen), printable(unseen, Letters::All));
  }
  EXPECT_EQ(printable("\u202e", Letters::All), "\\xe2\\x80\\xae");
  for (const char* seen : {"\u00a0", "\u200c", "\u200d", "\u2027", "\u202f", "\u2070", "\ufffd", kLetters})
    EXPECT_FALSE(has_unseen(seen)) << seen;
  EXPECT_FALSE(has_unseen(""));
}

TEST(Text, BytesThatAreNoUtf8AreShownEach) {
  for (const std::string bytes :
       {"\x80", "\xc0\xaf", "\xc3", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xc3\x28"}) {
    EXPECT_TRUE(has_unseen(bytes));
    const std::string shown = printable(bytes, Letters::All);
    EXPECT_EQ(shown.substr(0, 2), "\\x") << shown;
    EXPECT_EQ(shown, printable(bytes, Letters::Ascii));
  }
  EXPECT_EQ(printable("\xc3(\xc3\xa9", Letters::All), "\\xc3(\u00e9");
}

TEST(Text, LettersAreShownWhereTheTerminalReadsUtf8) {
  struct Case {
    const char *all, *ctype, *lang;
    Letters letters;
  };
  for (const Case& c : {Case{nullptr, nullptr, nullptr, Letters::Ascii},
                        {nullptr, nullptr, "de_DE.UTF-8", Letters::All},
                        {"C", nullptr, "de_DE.UTF-8", Letters::Ascii},
                        {"", "C.utf8", "C", Letters::All},
                        {nullptr, "POSIX", "de_DE.UTF-8", Letters::Ascii},
                        {"de_DE.ISO-8859-1", nullptr, nullptr, Letters::Ascii}}) {
    const Variable all("LC_ALL", c.all), ctype("LC_CTYPE", c.ctype), lang("LANG", c.lang);
    EXPECT_EQ(terminal_letters(), c.letters);
    EXPECT_EQ(printable("\u00e9"), c.letters == Letters::All ? "\u00e9" : "\\xc3\\xa9");
  }
}

TEST(Text, TakesAColumnACharacter) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("\u00e9\u044f"), 2U);
  EXPECT_EQ(display_width("a\u0308"), 1U);
  EXPECT_EQ(display_width("\xc3"), 1U);
}

TEST(Text, ForAPage) {
  EXPECT_EQ(html_text("<b a=\"1\" c='2'>&amp;"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
  EXPECT_EQ(html_text("\u00e9\n"), "\u00e9\n");
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
