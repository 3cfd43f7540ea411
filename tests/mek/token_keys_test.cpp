// SPDX-License-Identifier: Apache-2.0
// The life of MEKs in a token: made, replaced, suspended, imported, backed up and destroyed, each act logged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "appliance/audit/receipt.h"
#include "appliance/mek/backup.h"
#include "appliance/mek/generate.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/mek/rotate.h"
#include "base/file.h"
#include "tests/base/expect_error.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::mek {
namespace {

using qpcseal::testing::DemoAppliance;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// One appliance for all tests, which takes a moment to make; each test has keys of its own.
class TokenKeys : public ::testing::Test {
 protected:
  void TearDown() override { demo().close(); }  // another appliance's tests may follow
  static DemoAppliance& demo() {
    static DemoAppliance one;
    return one;
  }
  site::Appliance& appliance = demo().open();

  [[nodiscard]] const audit::MekHistory& history(const keys::Mek& mek) const {
    return appliance.log().state().meks.at(mek.id);
  }
  [[nodiscard]] std::vector<std::string> labels_of(const std::string& name) const {
    std::vector<std::string> out;
    for (const MekView& view : list(appliance))
      if (view.mek.name == name) out.push_back(view.mek.label);
    return out;
  }
  [[nodiscard]] std::filesystem::path put(const std::string& name, const std::string& text) const {
    testing::write_text(demo().folder / name, text);
    return demo().folder / name;
  }
};

TEST_F(TokenKeys, AreMadeOnceForAName) {
  const keys::Mek made = generate(appliance, "once");
  EXPECT_EQ(made.label, "once#1");
  EXPECT_EQ(made.id.size(), keys::kMekIdSize);
  EXPECT_EQ(history(made).state, "ok");
  EXPECT_EQ(history(made).origin, "generated");
  EXPECT_THAT(demo().last_entries(2), ElementsAre("mek-generate", "mek-generate ok"));
  EXPECT_ERROR(Usage, "there is a MEK 'once' already", generate(appliance, "once"));
  EXPECT_ERROR(Usage, "'no name' is no name for a MEK", generate(appliance, "no name"));
  EXPECT_THAT(labels_of("once"), ElementsAre("once#1"));
}

TEST_F(TokenKeys, HaveGenerationsThatAreUsedOnce) {
  EXPECT_ERROR(Usage, "there is no MEK 'turn' of this appliance in the token", rotate(appliance, "turn"));
  generate(appliance, "turn");
  const Rotated second = rotate(appliance, "turn");
  EXPECT_EQ(second.next.label, "turn#2");
  EXPECT_EQ(second.replaced.label, "turn#1");
  destroy(appliance, "turn#2");
  const Rotated third = rotate(appliance, "turn");
  EXPECT_EQ(third.next.label, "turn#3") << "the number of a destroyed key is not used again";
  EXPECT_EQ(third.replaced.label, "turn#1");
  EXPECT_THAT(labels_of("turn"), ElementsAre("turn#1", "turn#3"));
  EXPECT_ERROR(Denied, "turn#1 seals nothing more: turn#",
               refuse_replaced(appliance.log().state(), third.replaced));
}

TEST_F(TokenKeys, AreSuspendedAndResumedInTurn) {
  const keys::Mek mek = generate(appliance, "pause");
  EXPECT_ERROR(Denied, "is 'ok', not 'suspended'", resume(appliance, "pause"));
  suspend(appliance, "pause");
  EXPECT_EQ(history(mek).state, "suspended");
  EXPECT_ERROR(Denied, "is 'suspended', not 'ok'", suspend(appliance, "pause"));
  resume(appliance, "pause#1");
  EXPECT_EQ(history(mek).state, "ok");
  EXPECT_ERROR(Token, "nobody", suspend(appliance, "nobody"));
}

TEST_F(TokenKeys, AreDestroyedByTheirFullName) {
  const keys::Mek mek = generate(appliance, "end");
  rotate(appliance, "end");
  EXPECT_ERROR(Usage, "'end' has several generations", destroy(appliance, "end"));
  const Destroyed gone = destroy(appliance, "end#1");
  EXPECT_EQ(gone.mek.id, mek.id);
  EXPECT_EQ(gone.encryptions, 0U);
  EXPECT_EQ(history(mek).state, "destroyed");
  EXPECT_EQ(gone.entry, appliance.log().state().size - 1);
  EXPECT_THAT(labels_of("end"), ElementsAre("end#2"));
  EXPECT_ERROR(Token, "end#1", destroy(appliance, "end#1"));
  EXPECT_NO_THROW(destroy(appliance, "end")) << "one generation is left";
}

TEST_F(TokenKeys, AreImportedOnceAndTheirFileShredded) {
  const auto file = put("raw", std::string(16, 'k'));
  const Imported first = import_file(appliance, "vendor", file, false);
  EXPECT_EQ(first.mek.label, "vendor#1");
  EXPECT_FALSE(first.shredded);
  EXPECT_EQ(history(first.mek).origin, "imported");
  EXPECT_EQ(history(first.mek).check_value, import_check_value(file));
  EXPECT_ERROR(Usage, "this key was imported before, as vendor#1",
               import_file(appliance, "again", file, false))
      << "the same key by another name";
  EXPECT_ERROR(Usage, "vendor", import_file(appliance, "vendor", put("other", std::string(16, 'o')), false));
  const Imported again = import_file(appliance, "vendor", file, true);
  EXPECT_TRUE(again.known);
  EXPECT_TRUE(again.shredded) << again.shred_error;
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_ERROR(Malformed, "has 15 bytes",
               import_file(appliance, "short", put("short", std::string(15, 's')), false));
  EXPECT_THAT(labels_of("short"), IsEmpty());
}

// A key of this token, backed up to a recovery key of the same token.
TEST_F(TokenKeys, AreBackedUpDrilledAndRestored) {
  EXPECT_ERROR(Token, "the token holds no recovery key", recovery_key_in_force(appliance));
  const auto key_file = demo().folder / "recovery.key";
  const RecoveryKeyMade key = make_recovery_key(appliance, key_file, Existing::Refuse);
  EXPECT_EQ(key.sha256, sha256_hex(read_file(key_file, 65536)));
  EXPECT_EQ(recovery_key_in_force(appliance).sha256, key.sha256);
  const std::uint64_t size = appliance.log().state().size;
  EXPECT_ERROR(Token, "the token holds a recovery key already",
               make_recovery_key(appliance, demo().folder / "second.key", Existing::Refuse));
  EXPECT_EQ(appliance.log().state().size, size) << "nothing is logged";

  const keys::Mek mek = generate(appliance, "safe");
  const auto file = demo().folder / "safe.backup";
  const BackupMade made = backup(appliance, {"safe", key_file, file, Existing::Refuse});
  EXPECT_EQ(made.sha256, sha256_hex(read_file(file, 65536)));
  EXPECT_EQ(made.recovery_key_sha256, key.sha256);
  EXPECT_EQ(made.encryptions, 1U) << "the check value counts";
  EXPECT_ERROR(Io, "safe.backup", backup(appliance, {"safe", key_file, file, Existing::Refuse}));

  const auto certificate = demo().folder / "certificate";
  const Drilled drilled = drill(appliance, file, 30, certificate, Existing::Refuse);
  EXPECT_EQ(drilled.header.mek_id, mek.id);
  EXPECT_EQ(drilled.expires, demo().clock.time + 30 * 86400);
  EXPECT_EQ(audit::entry_of_receipt(testing::read_text(certificate)).kind, "mek-drill");

  EXPECT_ERROR(Usage, "there is a MEK 'safe#1'", restore(appliance, {file, std::nullopt}));
  destroy(appliance, "safe");
  const RestoredMek back = restore(appliance, {file, std::nullopt});
  EXPECT_EQ(back.mek.id, mek.id);
  EXPECT_EQ(back.mek.label, "safe#1");
  EXPECT_EQ(back.origin, keys::Origin::Restored);
  EXPECT_FALSE(back.suspended);
  EXPECT_ERROR(Denied, "safe#1",
               backup(appliance, {"safe", key_file, demo().folder / "again", Existing::Refuse}))
      << "a copy only wraps";

  std::string damaged = testing::read_text(file);
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  destroy(appliance, "safe");
  EXPECT_ERROR(Denied, "not signed by the seal key",
               restore(appliance, {put("damaged", damaged), std::nullopt}));
  EXPECT_THAT(labels_of("safe"), IsEmpty());
}

}  // namespace
}  // namespace qpcseal::mek
