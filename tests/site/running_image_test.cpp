// SPDX-License-Identifier: Apache-2.0
// The running image, from files as the kernel has them.
#include "appliance/site/running_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::site {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kRoot(64, 'a'), kOther(64, 'b');

std::string device_of(const std::filesystem::path& path) {
  struct stat status{};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
}

class KernelSays : public ::testing::Test {
 protected:
  void SetUp() override {
    line("quiet roothash=" + kRoot + " ro\n");
    verity("CRYPT-VERITY-0123456789abcdef0123456789abcdef-root\n");
  }
  void line(const std::string& text) const { testing::write_text(files.command_line, text); }
  // Of the device on which the test's folder lies, as the kernel has it: a link to the device's own folder.
  void verity(const std::string& uuid) const {
    const auto device = files.block_devices / "devices/dm-0";
    std::filesystem::create_directories(device / "dm");
    testing::write_text(device / "dm/uuid", uuid);
    const auto link = files.block_devices / device_of(files.root);
    if (!std::filesystem::exists(link)) std::filesystem::create_directory_symlink("devices/dm-0", link);
  }
  [[nodiscard]] std::string why(const std::string& text) const {
    line(text);
    const RunningImage found = find_image(files);
    EXPECT_EQ(found.root_hash, "") << text;
    return found.why_not;
  }

  testing::TempFolder folder;
  KernelFiles files{folder / "cmdline", folder / "block", folder.path()};
};

TEST_F(KernelSays, OneClaimOnAVerityRootIsTheImage) {
  for (const std::string& text : {"roothash=" + kRoot, "roothash=" + kRoot + "\n", "a=b\troothash=" + kRoot,
                                  "a=\"b c\" roothash=" + kRoot + " usrhash=" + kOther,
                                  "roothash=" + kRoot + " systemd.verity_root_options=panic-on-corruption"}) {
    line(text);
    EXPECT_EQ(find_image(files).root_hash, kRoot) << text;
    EXPECT_EQ(find_image(files).why_not, "");
  }
  EXPECT_EQ(image_text(find_image(files)), "image " + kRoot);
  EXPECT_EQ(verity_file(files), std::filesystem::canonical(files.block_devices / "devices/dm-0/dm/uuid"));
}

TEST_F(KernelSays, NothingClaimedIsNoImageAndNoFault) {
  for (const char* text : {"", "\n", "quiet ro", "roothash", "verity=", "root=hash"}) {
    EXPECT_EQ(why(text), "") << text;
    EXPECT_EQ(image_text(find_image(files)), "no image");
  }
}

TEST_F(KernelSays, TwoClaimsAreNone) {
  for (const std::string& more : {"roothash=" + kRoot, "roothash=" + kOther, std::string("roothash="),
                                  "\"roothash=" + kRoot + "\"", "x.roothash=" + kOther})
    EXPECT_THAT(why("roothash=" + kRoot + " " + more), HasSubstr("more than once")) << more;
}

TEST_F(KernelSays, AMalformedClaimIsNone) {
  for (const std::string& text :
       {std::string("roothash="), "roothash=" + kRoot.substr(1), "roothash=" + kRoot + "a",
        "roothash=" + std::string(64, 'A'), "roothash=" + std::string(64, 'g'), "roothash= " + kRoot,
        "roothash=\"" + kRoot + "\"", "\"roothash=" + kRoot + "\"", "x.roothash=" + kRoot,
        "noroothash=" + kRoot, "a=\"b roothash=" + kRoot + " c\"", "roothash=" + kRoot + ",x",
        "roothash=" + kRoot + std::string(1, '\0')})
    EXPECT_THAT(why(text), HasSubstr("no word with 64 hex digits")) << text;
}

TEST_F(KernelSays, VerityThatIgnoresCorruptionIsNone) {
  for (const char* option : {"systemd.verity_root_options=ignore-corruption",
                             "dm-mod.create=\"root,,,ro,0 8 verity 1 ignore_corruption\""})
    EXPECT_THAT(why("roothash=" + kRoot + " " + option), HasSubstr("ignore corruption"));
}

TEST_F(KernelSays, ARootThatIsNotOnVerityIsNone) {
  const std::string claim = "roothash=" + kRoot;
  for (const char* uuid :
       {"", "\n", "CRYPT-LUKS2-0123-root\n", "LVM-0123\n", "crypt-verity-0123\n", " CRYPT-VERITY-1"}) {
    verity(uuid);
    EXPECT_THAT(why(claim), HasSubstr("is not on dm-verity")) << uuid;
  }
  const auto device = files.block_devices / device_of(files.root);
  std::filesystem::remove(device);  // no block device at all: an overlay, a memory file system
  EXPECT_EQ(why(claim), "the kernel's command line has roothash=, and the root file system (device " +
                            device_of(files.root) + ") is not on dm-verity");
  EXPECT_EQ(verity_file(files), "");
  std::filesystem::create_directories(files.block_devices / "254:99/dm");  // another device of that kind
  testing::write_text(files.block_devices / "254:99/dm/uuid", "CRYPT-VERITY-1-root\n");
  EXPECT_THAT(why(claim), HasSubstr("is not on dm-verity"));
  files.root = folder / "nothing";
  EXPECT_THAT(why(claim), HasSubstr("is not on dm-verity"));
}

TEST_F(KernelSays, ACommandLineThatCannotBeReadOrNeverEndsIsNone) {
  line("roothash=" + kRoot + std::string(100000, ' '));
  EXPECT_THAT(find_image(files).why_not, HasSubstr("cannot be read"));
  files.command_line = folder / "nothing";
  EXPECT_EQ(find_image(files).root_hash, "");
  EXPECT_THAT(find_image(files).why_not, HasSubstr("cannot be read"));
}

TEST(RunningImageOfThisMachine, IsNotOfTheEnvironment) {
  const RunningImage before = find_image();
  for (const char* name : {"roothash", "ROOTHASH", "QPCSEAL_IMAGE"}) setenv(name, kRoot.c_str(), 1);
  EXPECT_EQ(find_image().root_hash, before.root_hash);
  EXPECT_EQ(find_image().why_not, before.why_not);
  for (const char* name : {"roothash", "ROOTHASH", "QPCSEAL_IMAGE"}) unsetenv(name);
}

TEST(ExpectImage, RefusesAnotherThanTheFactsName) {
  audit::SiteFacts facts = testing::site_facts();
  EXPECT_NO_THROW(expect_image(facts, {}));
  EXPECT_NO_THROW(expect_image(facts, {kRoot, ""}));
  EXPECT_NO_THROW(expect_image(facts, {"", "a claim that does not count"}));
  facts.image = kRoot;
  EXPECT_NO_THROW(expect_image(facts, {kRoot, ""}));
  EXPECT_ERROR(Denied, "name image " + kRoot + ", and image " + kOther + " runs here",
               expect_image(facts, {kOther, ""}));
  EXPECT_ERROR(Denied, "and no image runs here", expect_image(facts, {}));
  EXPECT_ERROR(Denied, "and no image (it is no word) runs here", expect_image(facts, {"", "it is no word"}));
}

TEST(ExpectImage, NamesTheCommandThatMendsIt) {
  audit::SiteFacts facts = testing::site_facts();
  facts.image = kRoot;
  for (const auto& [running, command] :
       {std::pair{RunningImage{kOther, ""}, "'qpcseal site change --image running'"},
        std::pair{RunningImage{}, "'qpcseal site change --image none'"}}) {
    try {
      expect_image(facts, running);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), "other-image");
      EXPECT_EQ(finding_ids(error.findings()), "IMG-SITE");
      EXPECT_THAT(error.hint(), HasSubstr(command));
      EXPECT_THAT(error.hint(), StartsWith("boot that image"));
    }
  }
}

}  // namespace
}  // namespace qpcseal::site
