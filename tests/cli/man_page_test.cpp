// SPDX-License-Identifier: Apache-2.0
#include "cli/man_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cli/sample_tree.h"

namespace qpcseal::cli {
namespace {

using qpcseal::testing::SampleTree;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

ManualFacts sealer_facts() {
  return {"sealer",
          "seal models",
          "1.2",
          "2026-11-25",
          {{"FILES", "First.\n\nSecond:\n  sealer --quiet\n  .dot\nThird."}},
          {"sealer-mek(1)", "other(1)"}};
}

std::string page_of_tree() {
  const SampleTree tree;
  return man_page(tree.app, sealer_facts());
}

TEST(ManPage, BeginsWithNameAndDateAndEndsWithOtherPages) {
  const std::string page = page_of_tree();
  EXPECT_THAT(page, StartsWith(".TH SEALER 1 \"2026-11-25\" \"sealer 1.2\" \"qpcseal\"\n.SH NAME\n"
                               "sealer \\- seal models\n.SH SYNOPSIS\n"
                               "\\fBsealer\\fR \\fIcommand\\fR [\\fIoptions\\fR]\n"));
  EXPECT_TRUE(page.ends_with(".SH SEE ALSO\nsealer\\-mek(1),\nother(1)\n")) << page;
}

TEST(ManPage, HasEachCommandWithItsArgumentsAndOptions) {
  const std::string page = page_of_tree();
  EXPECT_THAT(page, HasSubstr(".SS sealer mek list\n"));
  EXPECT_THAT(page, HasSubstr(".SS sealer mek generate\n\\fBsealer mek generate\\fR \\fINAME\\fR "));
  EXPECT_THAT(page, HasSubstr("\\fBsealer seal\\fR [\\fIMODEL\\fR] [\\fIMORE\\fR] "
                              "\\fB\\-\\-output\\fR \\fITEXT\\fR [\\fIoptions\\fR]\n"))
      << "what must be given stands in the synopsis";
  EXPECT_THAT(page, HasSubstr(".TP\n\\fB\\-o, \\-\\-output\\fR \\fITEXT\\fR (required)\nWhere to\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fB\\-\\-mode\\fR \\fI{token,envelope}\\fR\nHow\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fBMORE\\fR ...\nWhat else\n"));
  EXPECT_THAT(page, Not(HasSubstr(".SS sealer mek\n"))) << "a group is no command";
}

TEST(ManPage, HasNothingThatIsHidden) {
  const std::string page = page_of_tree();
  EXPECT_THAT(page, Not(HasSubstr("For us")));
  EXPECT_THAT(page, Not(HasSubstr("probe")));
  EXPECT_THAT(page, Not(HasSubstr("trace")));
}

// roff takes a line that begins with a dot or an apostrophe for a request.
TEST(ManPage, ShowsTextAsItIs) {
  CLI::App app{".TH evil\n'br\nan \\fBescape\\fR, a ^, a ~, a `, it's", "sealer"};
  const std::string page = man_page(app, sealer_facts());
  EXPECT_THAT(page, HasSubstr(".SH DESCRIPTION\n\\&.TH evil\n\\(aqbr\n"
                              "an \\efBescape\\efR, a \\(ha, a \\(ti, a \\(ga, it\\(aqs\n"));
}

TEST(ManPage, KeepsLinesThatStartWithTwoBlanks) {
  EXPECT_THAT(page_of_tree(),
              HasSubstr(".SH FILES\nFirst.\n.PP\nSecond:\n.PP\n.RS 4\n.nf\nsealer \\-\\-quiet\n"
                        "\\&.dot\n.fi\n.RE\n.PP\nThird.\n.SH SEE ALSO\n"));
}

TEST(ManPage, SaysOnceWhatAllCommandsHaveInCommon) {
  SampleTree tree;
  tree.app.footer("Exit codes: 0 done.");
  tree.app.get_subcommand("seal")->footer("Examples:\n  sealer seal a\n\nExit codes: 0 done.");
  const std::string page = man_page(tree.app, sealer_facts());
  EXPECT_THAT(page, HasSubstr("Examples:\n.PP\n.RS 4\n.nf\nsealer seal a\n.fi\n.RE\n.SH FILES"));
  EXPECT_THAT(page, HasSubstr(".SH NOTES\nExit codes: 0 done.\n"));
  EXPECT_EQ(page.find("Exit codes"), page.rfind("Exit codes"));
}

class Manuals : public ::testing::Test {
 protected:
  // What the words make it print; it must end with exit code 0.
  std::string printed(std::vector<std::string> words) {
    std::ranges::reverse(words);  // as CLI11 takes them
    ::testing::internal::CaptureStdout();
    try {
      tree.app.parse(std::move(words));
      ADD_FAILURE() << "it ran";
    } catch (const CLI::ParseError& asked) {
      EXPECT_EQ(print_help(tree.app, asked), 0);
    }
    return ::testing::internal::GetCapturedStdout();
  }
  SampleTree tree;
};

TEST_F(Manuals, ArePrintedAndEndWithOneLineFeed) {
  add_manual(tree.app, sealer_facts());
  EXPECT_EQ(printed({"--man"}), page_of_tree()) << "--man itself is not shown";
}

TEST_F(Manuals, OfAGroupHasItsCommandsAlone) {
  ManualFacts facts = sealer_facts();
  facts.see_also.clear();
  add_manual(tree.app, facts);
  const std::string page = printed({"mek", "--man"});
  EXPECT_THAT(page, StartsWith(".TH SEALER\\-MEK 1 "));
  EXPECT_THAT(page, HasSubstr("sealer\\-mek \\- Keys\n.SH SYNOPSIS\n\\fBsealer mek\\fR \\fIcommand\\fR"));
  EXPECT_THAT(page, HasSubstr(".SS sealer mek list\n"));
  EXPECT_THAT(page, Not(HasSubstr("sealer seal")));
  EXPECT_TRUE(page.ends_with(".SH SEE ALSO\nsealer(1)\n")) << page;
}

TEST_F(Manuals, OfAGroupHasAnotherNameWhereAProgramHasThatOne) {
  add_manual(tree.app, sealer_facts());
  EXPECT_THAT(printed({"mek", "--man"}), StartsWith(".TH SEALER\\-MEK\\-COMMANDS 1 "));
}

TEST_F(Manuals, OfACommandThatHasNoneIsNoOption) {
  add_manual(tree.app, sealer_facts());
  EXPECT_EQ(tree.app.get_subcommand("seal")->get_option_no_throw("--man"), nullptr);
}

TEST_F(Manuals, HelpHasTheSameWordsForValues) {
  add_manual(tree.app, sealer_facts());
  const std::string help = printed({"seal", "--help"});
  EXPECT_THAT(help, HasSubstr("--mode {token,envelope}"));
  EXPECT_THAT(help, HasSubstr("-o,--output TEXT (required)"));
}

}  // namespace
}  // namespace qpcseal::cli
