// SPDX-License-Identifier: Apache-2.0
#include "cli/suggest.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/base/expect_error.h"
#include "tests/cli/sample_tree.h"

namespace qpcseal::cli {
namespace {

using qpcseal::testing::SampleTree;

// "MESSAGE; HINT" of an Error{Usage}; empty where all words are known.
std::string told_of(const std::vector<std::string>& words) {
  const SampleTree tree;
  const std::optional<Error> found = unknown_word(tree.app, words);
  if (!found) return "";
  EXPECT_EQ(found->kind(), ErrorKind::Usage);
  return std::string(found->what()) + "; " + found->hint();
}

TEST(UnknownWord, OfACommandNamesTheNearOneOrAllThatAreShown) {
  EXPECT_EQ(told_of({"mek", "lst"}), "unknown command 'lst' of 'sealer mek'; did you mean 'list'?");
  EXPECT_EQ(told_of({"xxxxxx"}), "unknown command 'xxxxxx' of 'sealer'; its commands: mek, seal");
  EXPECT_EQ(told_of({"probe"}), "unknown command 'probe' of 'sealer'; its commands: mek, seal") << "hidden";
}

TEST(UnknownWord, OfAnOptionNamesTheNearOneOrWhereTheyAreListed) {
  EXPECT_EQ(told_of({"seal", "--ouput=x"}),
            "unknown option '--ouput' of 'sealer seal'; did you mean '--output'?");
  EXPECT_EQ(told_of({"mek", "list", "--zzzzzzzz"}),
            "unknown option '--zzzzzzzz' of 'sealer mek list'; 'sealer mek list --help' lists its options");
  EXPECT_EQ(told_of({"seal", "--clok", "x"}).substr(0, 38), "unknown option '--clok' of 'sealer sea")
      << "an option of the program stands before the command";
}

TEST(UnknownWord, IsNoValueOfAnOption) {
  EXPECT_EQ(told_of({"--clock", "now", "mek", "list"}), "");
  EXPECT_EQ(told_of({"--clock=now", "mek", "list"}), "") << "the next word is a command again";
  EXPECT_EQ(told_of({"--clock=now", "mekk", "list"}),
            "unknown command 'mekk' of 'sealer'; did you mean 'mek'?");
  EXPECT_EQ(told_of({"--quiet", "mekk"}), "unknown command 'mekk' of 'sealer'; did you mean 'mek'?")
      << "a flag has none";
  EXPECT_EQ(told_of({"seal", "--output", "--zzz"}), "") << "whatever it looks like";
}

TEST(UnknownWord, IsNoArgument) {
  EXPECT_EQ(told_of({"mek", "generate", "lst"}), "");
  EXPECT_EQ(told_of({"seal", "-x", "a"}), "") << "one letter";
  EXPECT_EQ(told_of({"mek", "--", "lst"}), "") << "behind -- nothing is an option or a command";
}

TEST(UnknownWord, IsTheFirstOfSeveral) {
  EXPECT_EQ(told_of({"--quit", "mekk"}), "unknown option '--quit' of 'sealer'; did you mean '--quiet'?");
}

TEST(UnknownWord, IsMissingWhereAGroupStandsAlone) {
  EXPECT_EQ(told_of({"mek"}), "'sealer mek' needs a command; its commands: list, generate");
  EXPECT_EQ(told_of({}), "'sealer' needs a command; its commands: mek, seal");
}

// What a program with these commands would print.
std::string printed_by(std::vector<std::string> words) {
  SampleTree tree;
  tree.app.set_version_flag("--version", "sealer 1.2");
  add_help_commands(tree.app);
  std::ranges::reverse(words);  // as CLI11 takes them
  try {
    tree.app.parse(std::move(words));
  } catch (const CLI::CallForVersion& text) {
    EXPECT_EQ(text.get_exit_code(), 0);
    return text.what();
  }
  return "nothing";
}

TEST(HelpCommands, HelpIsOfTheCommandThatItsWordsName) {
  const std::string group = printed_by({"help", "mek"}), leaf = printed_by({"help", "mek", "generate"});
  EXPECT_NE(group.find("Usage: sealer mek [OPTIONS] SUBCOMMAND"), std::string::npos) << group;
  EXPECT_NE(leaf.find("Usage: sealer mek generate"), std::string::npos) << leaf;
  EXPECT_NE(leaf.find("Its name"), std::string::npos) << leaf;
  EXPECT_FALSE(leaf.ends_with('\n'));
  EXPECT_NE(printed_by({"help"}).find("Seal models"), std::string::npos);
}

TEST(HelpCommands, HelpOfAnUnknownCommandNamesTheNearOne) {
  try {
    printed_by({"help", "mek", "lst"});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Usage);
    EXPECT_STREQ(error.what(), "unknown command 'lst' of 'sealer mek'");
    EXPECT_EQ(error.hint(), "did you mean 'list'?");
  }
  EXPECT_ERROR(Usage, "unknown command 'probe' of 'sealer'", printed_by({"help", "probe"}));
}

TEST(HelpCommands, VersionIsTheProgramsVersion) { EXPECT_EQ(printed_by({"version"}), "sealer 1.2"); }

}  // namespace
}  // namespace qpcseal::cli
