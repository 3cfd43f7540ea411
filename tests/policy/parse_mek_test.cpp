// SPDX-License-Identifier: Apache-2.0
// One [[mek]] table: what holds where nothing is written, and what a refusal says. parse_test.cpp has the
// ranges, in whole policies.
#include "policy/parse_mek.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/parse_rules.h"
#include "tests/base/expect_error.h"
#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using ::testing::ElementsAre;

constexpr const char* kTable = R"(
labels = ["resnet*"]
devices = ["ai100"]
modes = ["envelope", "token"]
suites = [4, 1]
segments = []
max_releases = 10
max_encryptions = 1000
)";

MekRule read(const std::string& text) {
  const toml::table table = encoding::parse_toml(text, "site.toml");
  encoding::TomlReader reader(table, "rule", "site.toml");
  return read_mek(reader, testing::sample_policy());
}
std::string with(const std::string& line) { return kTable + line + "\n"; }
std::string instead(const std::string& from, const std::string& to) {
  std::string text = kTable;
  return text.replace(text.find(from), from.size(), to);
}

TEST(MekRule, IsReadInTheOrderOfThePolicy) {
  const MekRule rule = read(kTable);
  EXPECT_THAT(rule.modes.value, ElementsAre("envelope", "token"));
  EXPECT_THAT(rule.suites.value, ElementsAre(4U, 1U)) << "the first is tried first";
  EXPECT_EQ(rule.suites.line, 5);
  EXPECT_TRUE(rule.segments.value.empty());
}

TEST(MekRule, LeavesUnsaidWhatNeedNotBeSaid) {
  const MekRule rule = read(kTable);
  EXPECT_THAT(rule.formats.value, ElementsAre("qpcseal")) << "the vendor's only where it is written";
  EXPECT_EQ(rule.elf.value, ElfRule::WherePossible);
  EXPECT_THAT(rule.elf_sections.value, ElementsAre("metadata_fb", "metadata"));
  EXPECT_EQ(rule.elf.line, rule.line);
}

TEST(MekRule, TakesWhatIsSaidOfElfFiles) {
  EXPECT_EQ(read(with("elf = \"host-readable\"")).elf.value, ElfRule::HostReadable);
  const MekRule whole = read(with("elf = \"whole\""));
  EXPECT_EQ(whole.elf.value, ElfRule::Whole);
  EXPECT_EQ(whole.elf.line, 9);
  const MekRule sections = read(with("elf_sections = [\".note\"]"));
  EXPECT_THAT(sections.elf_sections.value, ElementsAre(".note")) << "instead of the usual ones";
  EXPECT_EQ(sections.elf.value, ElfRule::WherePossible);
  EXPECT_NO_THROW(read(with("elf = \"host-readable\"\nelf_sections = [\".note\"]")));
  EXPECT_ERROR(Malformed, "site.toml:10: rule: 'elf_sections' beside elf = \"whole\"",
               read(with("elf = \"whole\"\nelf_sections = [\".note\"]")));
}

TEST(MekRule, HintsAtADeviceClassOfANearName) {
  try {
    read(instead("ai100", "ai10"));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Malformed);
    EXPECT_STREQ(error.what(), "site.toml:3: rule: there is no device class 'ai10'");
    EXPECT_THAT(error.hint(), ::testing::HasSubstr("ai100"));
  }
  EXPECT_ERROR(Malformed, "there is no device class 'gone'",
               read(instead("[\"ai100\"]", "[\"ai100\", \"gone\"]")));
}

TEST(MekRule, KnowsNoOtherWords) {
  EXPECT_ERROR(Malformed, "site.toml:4: rule: 'modes' does not know 'Token'",
               read(instead("\"token\"", "\"Token\"")));
  EXPECT_ERROR(Malformed, "site.toml:9: rule: 'formats' does not know 'other'",
               read(with("formats = [\"vendor\", \"other\"]")));
  EXPECT_ERROR(Malformed, "site.toml:9: rule: 'elf' does not know 'none'", read(with("elf = \"none\"")));
  EXPECT_ERROR(Malformed, "site.toml:9: rule: unknown key 'max_release'", read(with("max_release = 1")));
}

TEST(MekRule, HasFurtherSegmentsOnly) {
  const auto refused = [](const std::string& name) {
    EXPECT_ERROR(Malformed, "site.toml:6: rule: '" + name + "' is no further segment's name",
                 read(instead("segments = []", "segments = [\"a\", \"" + name + "\"]")));
  };
  for (const char* name : {"seal.", "seal.aead", "MEK.", "/", "a/", "network.elf", "constants.bin"})
    refused(name);
  const MekRule rule =
      read(instead("segments = []", "segments = [\"seal\", \"MEK\", \"mek.pub\", \"network.elf.x\"]"));
  EXPECT_EQ(rule.segments.value.size(), 4U) << "near the names of the format, and none of them";
}

TEST(MekRule, CountsReleasesWithoutALimitOfItsOwn) {
  const std::string most = std::to_string(kHuge);
  EXPECT_EQ(read(instead("max_releases = 10", "max_releases = " + most)).max_releases.value,
            static_cast<std::uint64_t>(kHuge));
  EXPECT_EQ(read(instead("max_encryptions = 1000", "max_encryptions = 0")).max_encryptions.value, 0U);
  EXPECT_ERROR(Malformed, "between 0 and 4294967296",
               read(instead("max_encryptions = 1000", "max_encryptions = " + most)));
}

}  // namespace
}  // namespace qpcseal::policy
