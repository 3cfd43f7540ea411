// SPDX-License-Identifier: Apache-2.0
// What a backup may not be, and what a restore may not take away: entries that the backup has not.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <functional>

#include "appliance/site/home_backup.h"
#include "appliance/site/witnesses.h"
#include "encoding/tar.h"
#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::DemoAppliance;
using qpcseal::testing::read_text;
using qpcseal::testing::write_text;

// A copy of one appliance's home, and a backup of it.
class RestoredHome : public ::testing::Test {
 protected:
  RestoredHome() {
    copy_home(demo());
    back_up(here, backup, Existing::Refuse);
  }
  static const DemoAppliance& demo() {
    static const DemoAppliance one;
    return one;
  }
  void copy_home(const DemoAppliance& from) const {
    fs::remove_all(here.home.root);
    fs::copy(from.home.root, here.home.root, fs::copy_options::recursive);
  }
  [[nodiscard]] std::uint64_t entries() const {
    return audit::read_log(here.home.log(), std::nullopt).checkpoint.size;
  }
  // The appliance goes on: its log gets an entry.
  void go_on() {
    Appliance appliance(here);
    trust_witness(appliance, testing::TestWitness().vkey(), true);
  }
  void damage_last_entry() const {
    const fs::path file = here.home.log() / "entries.jsonl";
    std::string text = read_text(file);
    text[text.size() - 3] ^= 1;
    write_text(file, text);
  }
  Restored restore_here() { return restore(here, {backup, std::nullopt, true, {}}); }

  testing::TempFolder folder;
  testing::SetClock clock;
  testing::CountingRandom random;
  Environment here{Home{folder / "home"}, clock, random, std::nullopt};
  fs::path backup = folder / "backup";
};

TEST_F(RestoredHome, KeepsALogThatWentOn) {
  const std::uint64_t before = entries();
  go_on();
  const std::uint64_t after = entries();
  EXPECT_ERROR(LogDamaged,
               "the audit log would be rolled back: it has " + std::to_string(after) + " entries here, " +
                   std::to_string(before) + " in the backup",
               restore_here());
  EXPECT_EQ(entries(), after);
}

TEST_F(RestoredHome, KeepsADamagedLogWhoseCheckpointSaysThatItWentOn) {
  const std::uint64_t before = entries();
  go_on();
  const std::uint64_t after = entries();
  damage_last_entry();
  EXPECT_ERROR(
      LogDamaged,
      "the home's checkpoint has " + std::to_string(after) + " entries, the backup " + std::to_string(before),
      restore_here());
  fs::remove(here.home.log() / "checkpoint");
  EXPECT_ERROR(LogDamaged,
               "the home has entries behind the " + std::to_string(before) +
                   " of the backup, and no checkpoint for them",
               restore_here());
}

TEST_F(RestoredHome, TakesThePlaceOfADamagedLogThatHasNoMore) {
  damage_last_entry();
  EXPECT_NE(restore_here().aside, "");
  EXPECT_EQ(entries(), 1U) << "its log verifies again";
}

TEST_F(RestoredHome, KeepsALogOfAnotherAppliance) {
  copy_home(DemoAppliance());
  EXPECT_ERROR(LogDamaged, "the backup's log does not go on from the 1 entries here", restore_here());
}

class ForgedBackup : public RestoredHome {
 protected:
  using Members = std::vector<std::pair<HomeFile, Bytes>>;
  // Checks the backup after this edit of its manifest and members.
  void check(const std::function<void(HomeManifest&, Members&)>& edit) const {
    const HomeArchive archive(backup);
    HomeManifest manifest = archive.manifest();
    Members members;
    for (const HomeFile& file : manifest.files) members.emplace_back(file, archive.read(file));
    edit(manifest, members);
    manifest.files.clear();
    for (const auto& [file, bytes] : members) manifest.files.push_back(file);
    const fs::path forged = folder / "forged";
    const Fd out(open(forged.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    encoding::TarWriter writer(out);
    writer.add("manifest.json", view(encode_manifest(manifest)));
    for (const auto& [file, bytes] : members) writer.add(file.name, bytes);
    writer.finish();
    check_backup(forged, std::nullopt);
  }
};

TEST_F(ForgedBackup, IsGoodWhereNothingChanged) {
  EXPECT_NO_THROW(check([](HomeManifest&, Members&) {}));
}

TEST_F(ForgedBackup, HasTheLogThatItsManifestNames) {
  const std::string why = "its log is not the one that the manifest names";
  EXPECT_ERROR(Malformed, why, check([](HomeManifest& it, Members&) { ++it.log_size; }));
  EXPECT_ERROR(Malformed, why, check([](HomeManifest& it, Members&) { it.log_root = std::string(64, '0'); }));
  EXPECT_ERROR(Malformed, why, check([](HomeManifest&, Members& members) {
                 for (auto& [file, bytes] : members) {
                   if (file.name != "log/entries.jsonl") continue;
                   append(bytes, view("{\"half a line"));
                   file = {file.name, bytes.size(), sha256_hex(bytes)};
                 }
               }));
}

TEST_F(ForgedBackup, HasNoFileThatTheLogDoesNotVouchFor) {
  const std::string name = "reports/" + std::string(64, 'a') + ".report";
  EXPECT_ERROR(Malformed, "nothing in the log vouches for " + name,
               check([&](HomeManifest&, Members& members) {
                 members.push_back({{name, 1, sha256_hex("x")}, copy(view("x"))});
                 std::ranges::sort(members, {}, [](const auto& one) { return one.first.name; });
               }));
}

TEST_F(ForgedBackup, HasEachFileThatTheLogNames) {
  EXPECT_ERROR(Malformed, "what the log says is not there: policy.toml",
               check([](HomeManifest&, Members& members) {
                 std::erase_if(members, [](const auto& one) { return one.first.name == "policy.toml"; });
               }));
}

}  // namespace
}  // namespace qpcseal::site
