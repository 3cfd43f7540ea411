// SPDX-License-Identifier: Apache-2.0
// An init that was cut short: what is read of it, and what undoing it takes away.
#include "appliance/site/unfinished_init.h"

#include <gtest/gtest.h>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::site {
namespace {

using qpcseal::testing::write_text;

class InitCutShort : public ::testing::Test {
 protected:
  InitCutShort() { std::filesystem::create_directory(home.root); }
  [[nodiscard]] Environment environment() { return {home, clock, random, std::nullopt}; }
  // The file with the first `from` replaced.
  std::optional<UnfinishedInit> read_with(const std::string& from, const std::string& to) {
    UnfinishedInit made;
    made.made_home = true;
    made.site = Site{"/m.so", "label", "1", false, "tty", {"/a"}};
    made.key_id = Bytes(kInitKeyId, 1);
    write_unfinished_init(home, made);
    std::string text = testing::read_text(home.root / "init");
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write_text(home.root / "init", text.replace(at, from.size(), to));
    return read_unfinished_init(home);
  }

  testing::TempFolder folder;
  Home home{folder / "home"};
  testing::SetClock clock;
  testing::CountingRandom random;
};

TEST_F(InitCutShort, IsReadFromAFileOfItsOwnForm) {
  EXPECT_EQ(read_unfinished_init(home).has_value(), false);
  EXPECT_EQ(read_with("qpcseal init 1", "qpcseal init 1")->site->module_files,
            std::vector<std::string>{"/a"});
  EXPECT_ERROR(Malformed, "another version", read_with("qpcseal init 1", "qpcseal init 2"));
  EXPECT_ERROR(Malformed, "'module_files' is not a list of texts", read_with("\"/a\"", "7"));
  EXPECT_ERROR(Malformed, "'module_files' is not a list of texts", read_with("[\"/a\"]", "\"/a\""));
  EXPECT_ERROR(Malformed, "key_id",
               read_with(to_hex(Bytes(kInitKeyId, 1)), to_hex(Bytes(kInitKeyId - 1, 1))));
  EXPECT_ERROR(Malformed, "'embedded'", read_with("false", "0"));
}

TEST_F(InitCutShort, IsUndoneOnlyWhereThereIsOne) {
  write_text(home.policy(), "mine");
  EXPECT_ERROR(Usage, "no init was cut short in " + home.root.string(), undo_init(environment()));
  EXPECT_TRUE(std::filesystem::exists(home.policy()));
}

TEST_F(InitCutShort, IsNotUndoneWhereTheApplianceIsWhole) {
  write_text(home.policy(), "in force");
  write_text(home.site(), "written last");
  write_unfinished_init(home, {});
  EXPECT_ERROR(Usage, "holds a whole appliance: its init had ended", undo_init(environment()));
  EXPECT_TRUE(std::filesystem::exists(home.policy()));
  EXPECT_EQ(read_unfinished_init(home).has_value(), false) << "nothing is to be undone any more";
}

TEST_F(InitCutShort, TakesWhatItMadeAndNothingElse) {
  for (const HomeFolder kept : {HomeFolder::Keep, HomeFolder::Remove}) {
    write_unfinished_init(home, {true, std::nullopt, "", "", {}});
    write_text(home.policy(), "x");
    undo_init(environment(), kept);
    EXPECT_EQ(std::filesystem::exists(home.root), kept == HomeFolder::Keep);
    EXPECT_FALSE(std::filesystem::exists(home.policy()));
  }
}

}  // namespace
}  // namespace qpcseal::site
