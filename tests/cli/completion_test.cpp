// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/cli/sample_tree.h"

namespace qpcseal::cli {
namespace {

using qpcseal::testing::SampleTree;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// As a program has them: names of keys for NAME, modes for --mode, files for all else.
std::vector<std::string> known_values(const std::string& name) {
  if (name == "NAME") return {"bert", "resnet"};
  if (name == "--mode") return {"token", "envelope"};
  return {};
}

std::vector<std::string> completed(const std::vector<std::string>& words) {
  const SampleTree tree;
  return completions(tree.app, words, known_values);
}

TEST(Completions, AreTheCommandsThatAreShown) {
  EXPECT_THAT(completed({}), ElementsAre("mek", "seal"));
  EXPECT_THAT(completed({""}), ElementsAre("mek", "seal"));
  EXPECT_THAT(completed({"mek", ""}), ElementsAre("generate", "list")) << "sorted";
  EXPECT_THAT(completed({"mek", "l"}), ElementsAre("list"));
  EXPECT_THAT(completed({"p"}), IsEmpty()) << "one is hidden";
}

TEST(Completions, AreTheOptionsThatAreShown) {
  EXPECT_THAT(completed({"-"}), ElementsAre("--clock", "--help", "--quiet"));
  EXPECT_THAT(completed({"--t"}), IsEmpty()) << "one is hidden";
  EXPECT_THAT(completed({"seal", "--o"}), ElementsAre("--output")) << "those of the command";
  EXPECT_THAT(completed({"mek", "list", ""}), ElementsAre("--help")) << "where no argument is left";
}

TEST(Completions, OfAnOptionsValueAreWhatItTakes) {
  EXPECT_THAT(completed({"seal", "--mode", ""}), ElementsAre("envelope", "token"));
  EXPECT_THAT(completed({"seal", "--mode", "t"}), ElementsAre("token"));
  EXPECT_THAT(completed({"seal", "--output", "mo"}), ElementsAre(":files")) << "whatever was begun";
  EXPECT_THAT(completed({"seal", "-o", ""}), ElementsAre(":files"));
  EXPECT_THAT(completed({"--clock", ""}), ElementsAre(":files"));
}

TEST(Completions, GoOnBehindAValue) {
  EXPECT_THAT(completed({"--clock", "mek", "se"}), ElementsAre("seal")) << "the value is no command";
  EXPECT_THAT(completed({"--clock=now", "mek", "l"}), ElementsAre("list"));
  EXPECT_THAT(completed({"--quiet", "mek", "l"}), ElementsAre("list")) << "a flag has no value";
  EXPECT_THAT(completed({"seal", "--mode", "token", "--m"}), ElementsAre("--mode"));
}

TEST(Completions, OfAnArgumentAreWhatItTakes) {
  EXPECT_THAT(completed({"mek", "generate", ""}), ElementsAre("bert", "resnet"));
  EXPECT_THAT(completed({"mek", "generate", "r"}), ElementsAre("resnet"));
  EXPECT_THAT(completed({"mek", "generate", "bert", ""}), ElementsAre("--help")) << "it takes one";
  EXPECT_THAT(completed({"seal", "a", "b", "c", ""}), ElementsAre(":files")) << "the last one takes several";
}

TEST(Completions, ArePrintedForTheirOwnWordAlone) {
  const SampleTree tree;
  ::testing::internal::CaptureStdout();
  EXPECT_FALSE(print_completions(tree.app, {}, known_values));
  EXPECT_FALSE(print_completions(tree.app, {"mek", "__complete"}, known_values));
  EXPECT_TRUE(print_completions(tree.app, {"__complete", "mek", ""}, known_values));
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "generate\nlist\n");
}

TEST(CompletionScripts, AreOfEachShellAndAskByTheWordThatTheProgramKnows) {
  EXPECT_THAT(completed_shells(), ElementsAre("bash", "zsh", "fish"));
  for (const std::string& shell : completed_shells()) {
    const std::string script = completion_script(shell);
    for (const std::string_view word : {kComplete, kFiles})
      EXPECT_NE(script.find(word), std::string::npos) << shell << ": " << word;
    for (const char* program : {"qpcseal", "qpcseal-attest", "qpcseal-device"})
      EXPECT_NE(script.find(program), std::string::npos) << shell << ": " << program;
  }
}

TEST(CompletionScripts, AreOfNoOtherShell) {
  EXPECT_ERROR(Usage, "no completion for shell 'tcsh'", completion_script("tcsh"));
  EXPECT_ERROR(Usage, "no completion for shell ''", completion_script(""));
}

}  // namespace
}  // namespace qpcseal::cli
