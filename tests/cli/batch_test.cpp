// SPDX-License-Identifier: Apache-2.0
// Which command a line of `run` or `shell` names, and whose PIN it is given.
#include "appliance/cli/commands/batch.h"

#include <gtest/gtest.h>

#include "base/pipe.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/cli/sample_tree.h"
#include "tests/support/variable.h"

namespace qpcseal::cli {
namespace {

using qpcseal::testing::SampleTree;
using qpcseal::testing::TempFolder;
using qpcseal::testing::Variable;
using qpcseal::testing::write_text;

class NamedCommands : public ::testing::Test {
 protected:
  NamedCommands() {
    for (const char* name : {"run", "shell"}) tree.app.add_subcommand(name, "It runs others");
  }
  // Its name; empty where there is none.
  [[nodiscard]] std::string named(const std::vector<std::string>& words) const {
    const CLI::App* found = named_command(tree.app, words);
    return found == nullptr ? "" : found->get_name();
  }
  SampleTree tree;
};

TEST_F(NamedCommands, AreThoseThatTheFirstWordsLeadTo) {
  EXPECT_EQ(named({"mek", "generate"}), "generate");
  EXPECT_EQ(named({"mek", "generate", "list"}), "generate") << "an argument";
  EXPECT_EQ(named({"seal", "--output", "mek", "mek"}), "seal");
  EXPECT_EQ(named({"probe"}), "probe") << "one that is not shown";
}

TEST_F(NamedCommands, AreNoGroupsAndNoOptions) {
  EXPECT_EQ(named({}), "");
  EXPECT_EQ(named({"mek"}), "");
  EXPECT_EQ(named({"mek", "lst"}), "");
  EXPECT_EQ(named({"none"}), "");
  EXPECT_EQ(named({"--clock", "mek", "list"}), "") << "an option before it";
}

TEST_F(NamedCommands, DoNotRunOthers) {
  EXPECT_EQ(named({"run"}), "");
  EXPECT_EQ(named({"run", "list"}), "");
  EXPECT_EQ(named({"shell"}), "");
}

// An officer's command has --pin-fd too, for another token.
TEST(OpensToken, IsTrueOfACommandThatTakesTheHomesPinAlone) {
  std::string value;
  const auto opens = [&](const std::vector<std::string>& options) {
    CLI::App app;
    for (const std::string& option : options) app.add_option(option, value);
    return opens_token(app);
  };
  EXPECT_TRUE(opens({"--lock-timeout", "--pin-fd"}));
  EXPECT_FALSE(opens({"--lock-timeout"}));
  EXPECT_FALSE(opens({"--pin-fd"}));
  EXPECT_FALSE(opens({"--lock-timeout", "--pin-fd", "--pin-source"}));
}

class AskedPins : public ::testing::Test {
 protected:
  void site_with(const std::string& pin_source) const {
    write_text(folder / "site.toml",
               "module = \"/m.so\"\ntoken_label = \"t\"\ntoken_serial = \"1\"\n"
               "embedded = false\npin_source = \"" +
                   pin_source + "\"\n");
  }
  static std::string text_of(const SecretBuffer* pin) {
    return pin == nullptr ? "none" : std::string(text_view(pin->bytes()));
  }
  TempFolder folder;
  Variable home{"QPCSEAL_HOME", folder.path().c_str()};
  Fd pipe = pipe_with(view("1234\n"));
};

TEST_F(AskedPins, AreReadFromTheDescriptorOnce) {
  site_with("tty");
  AskedPin pin(pipe.get());
  const SecretBuffer* first = pin.get();
  EXPECT_EQ(text_of(first), "1234");
  EXPECT_EQ(pin.get(), first) << "for all commands";
}

TEST_F(AskedPins, GivenByADescriptorGoBeforeAFile) {
  site_with("file:pin");
  EXPECT_EQ(text_of(AskedPin(pipe.get()).get()), "1234");
}

TEST_F(AskedPins, OfAFileAreLeftToEachCommand) {
  for (const char* source : {"file:pin", "pinpad"}) {
    site_with(source);
    EXPECT_EQ(AskedPin(std::nullopt).get(), nullptr) << source;
  }
}

TEST_F(AskedPins, ThatTheTokenRefusedAreNotGivenAgain) {
  site_with("file:pin");
  AskedPin pin(pipe.get());
  EXPECT_EQ(text_of(pin.get()), "1234");
  pin.forget();
  EXPECT_EQ(pin.get(), nullptr) << "the descriptor has no other";
}

TEST_F(AskedPins, NeedAHome) {
  EXPECT_ERROR(Io, "no appliance at " + folder.path().string(), AskedPin(pipe.get()).get());
}

}  // namespace
}  // namespace qpcseal::cli
