// SPDX-License-Identifier: Apache-2.0
// Keys in a token for which an act is refused: that the log does not know, that are used up, lost or over,
// and backups that are not what they say.
#include <gtest/gtest.h>

#include "appliance/audit/receipt.h"
#include "appliance/mek/backup.h"
#include "appliance/mek/generate.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/mek/rotate.h"
#include "tests/base/expect_error.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::mek {
namespace {

using qpcseal::testing::DemoAppliance;
using qpcseal::testing::read_text;
using qpcseal::testing::write_text;

// Rules for the keys "b..." alone, of two encryptions each.
std::string with_few_encryptions(std::string policy) {
  for (const auto& [from, to] : {std::pair{"labels = [\"*\"]", "labels = [\"b*\"]"},
                                 {"max_encryptions = 1000", "max_encryptions = 2"}})
    policy.replace(policy.find(from), std::string_view(from).size(), to);
  return policy;
}

// One appliance for all tests, with a recovery key in its token; each test has keys of its own.
class RefusedKeys : public ::testing::Test {
 protected:
  void TearDown() override { demo().close(); }  // another appliance's tests may follow
  static DemoAppliance& demo() {
    static DemoAppliance one(with_few_encryptions);
    static const RecoveryKeyMade key = make_recovery_key(one.open(), key_file(one), Existing::Refuse);
    return one;
  }
  static std::filesystem::path key_file(const DemoAppliance& of) { return of.folder / "recovery.key"; }
  // The recovery key of another appliance, which is closed again.
  static void make_key_file(DemoAppliance& other) {
    make_recovery_key(other.open(), key_file(other), Existing::Refuse);
    other.close();
  }
  [[nodiscard]] site::Appliance& appliance() { return demo().open(); }
  // A key's backup, to this recovery key.
  std::filesystem::path backed_up(const std::string& mek, const std::filesystem::path& to) {
    const std::filesystem::path file = folder / (mek + std::to_string(++backups) + ".backup");
    backup(appliance(), {mek, to, file, Existing::Refuse});
    return file;
  }
  std::filesystem::path backed_up(const std::string& mek) { return backed_up(mek, key_file(demo())); }
  [[nodiscard]] std::filesystem::path receipt_of(std::uint64_t entry) const {
    write_text(folder / "receipt",
               audit::make_receipt(audit::read_log(demo().home.log(), std::nullopt), entry));
    return folder / "receipt";
  }
  // The token loses it behind the appliance's back.
  void lose(const keys::Mek& mek) {
    appliance().session().destroy(mek.object);
    demo().close();
  }
  keys::Mek unlogged(const std::string& name) {
    pkcs11::Session fresh(appliance().module(), appliance().token(), pkcs11::Access::ReadOnly);
    return keys::generate_mek(appliance().session(), fresh, name, 1, Bytes(keys::kMekIdSize, 9),
                              appliance().facts().accept);
  }
  testing::TempFolder folder;
  unsigned backups = 0;
};

TEST_F(RefusedKeys, ThatTheLogDoesNotKnow) {
  const keys::Mek mek = unlogged("b-strange");
  const std::string why = "is in the token but not in the log";
  EXPECT_ERROR(Denied, why, suspend(appliance(), "b-strange"));
  EXPECT_ERROR(Denied, why, destroy(appliance(), "b-strange"));
  EXPECT_ERROR(Denied, why + ": this appliance did not make it", backed_up("b-strange"));
  EXPECT_ERROR(Usage, "there is no MEK 'b-strange'", rotate(appliance(), "b-strange"));
  appliance().session().destroy(mek.object);
}

TEST_F(RefusedKeys, WhoseNamesAreTaken) {
  generate(appliance(), "b-over");
  destroy(appliance(), "b-over");
  EXPECT_ERROR(Usage, "the MEK 'b-over' was destroyed, and its name is not given again",
               generate(appliance(), "b-over"));
  EXPECT_ERROR(Token, "b-over#1 is destroyed", suspend(appliance(), "b-over#1"));
  EXPECT_ERROR(Usage, "there is no MEK 'b-nobody'", look_at_rotate(appliance().outlook(), "b-nobody"));
}

TEST_F(RefusedKeys, ThatAreSuspended) {
  generate(appliance(), "b-paused");
  suspend(appliance(), "b-paused");
  EXPECT_ERROR(Denied, "may not be used: its state is 'suspended'", backed_up("b-paused"));
}

TEST_F(RefusedKeys, ThatThePolicyGivesNoEncryption) {
  generate(appliance(), "a");
  EXPECT_ERROR(Denied, "the policy has no one rule for a#1", backed_up("a"));
  generate(appliance(), "b-used");
  backed_up("b-used");
  backed_up("b-used");
  EXPECT_ERROR(Denied, "b-used#1 has done all the encryptions that the policy allows", backed_up("b-used"))
      << "the check value of each backup is one";
}

TEST_F(RefusedKeys, OfARecoveryKeyThatTheLogDoesNotKnow) {
  demo().close();  // one token at a time
  DemoAppliance other;
  {
    site::Appliance& there = other.open();
    pkcs11::Session fresh(there.module(), there.token(), pkcs11::Access::ReadOnly);
    keys::make_recovery_key(there.session(), fresh);
    EXPECT_ERROR(Denied, "the recovery key in the token is not in the log", recovery_key_in_force(there));
  }
  other.close();
}

TEST_F(RefusedKeys, WhoseFileHasAnotherName) {
  const std::filesystem::path file = folder / "raw", other = folder / "other-name";
  write_text(file, std::string(16, 'q'));
  std::filesystem::create_hard_link(file, other);
  const Imported made = import_file(appliance(), "b-linked", file, true);
  EXPECT_FALSE(made.shredded);
  EXPECT_NE(made.shred_error.find("is no longer the file that was read, or has another name"),
            std::string::npos)
      << made.shred_error;
  EXPECT_EQ(read_text(other), std::string(16, 'q')) << "nothing was overwritten";
}

TEST_F(RefusedKeys, ThatTheTokenLost) {
  const std::filesystem::path file = folder / "raw";
  write_text(file, std::string(16, 'l'));
  lose(import_file(appliance(), "b-lost", file, false).mek);
  EXPECT_ERROR(Usage, "this key was imported before, as b-lost#1, and the token lost it",
               import_file(appliance(), "b-found", file, false));
  EXPECT_TRUE(import_file(appliance(), "b-lost", file, false).returned) << "under its own name";
}

TEST_F(RefusedKeys, OfBackupsForAnotherToken) {
  demo().close();  // one token at a time
  DemoAppliance other;
  make_key_file(other);
  generate(appliance(), "b-away");
  const std::filesystem::path file = backed_up("b-away", key_file(other));
  EXPECT_ERROR(Denied, "is wrapped to another recovery key than this token's",
               drill(appliance(), file, 30, folder / "certificate", Existing::Refuse));

  const std::uint64_t plain_end = destroy(appliance(), "b-away").entry;
  const std::filesystem::path plain = receipt_of(plain_end);
  demo().close();
  EXPECT_ERROR(Denied, "the source's officers named no transferee", restore(other.open(), {file, plain}));
  EXPECT_EQ(restore(other.open(), {file, std::nullopt}).origin, keys::Origin::Restored);
  other.close();
}

TEST_F(RefusedKeys, OfASourceThatNamedAnotherTransferee) {
  demo().close();  // one token at a time
  DemoAppliance other;
  make_key_file(other);
  generate(appliance(), "b-named");
  const std::filesystem::path file = backed_up("b-named", key_file(other)), own = backed_up("b-named");
  const std::filesystem::path receipt = receipt_of(destroy(appliance(), "b-named", key_file(demo())).entry);
  demo().close();
  EXPECT_ERROR(Denied, "names another recovery key's token as the transferee's",
               restore(other.open(), {file, receipt}));
  other.close();
  EXPECT_EQ(restore(appliance(), {own, receipt}).origin, keys::Origin::Transferee);
}

TEST_F(RefusedKeys, OfThisApplianceThatNeedNoReceipt) {
  const keys::Mek mek = generate(appliance(), "b-own");
  const std::filesystem::path file = backed_up("b-own");
  generate(appliance(), "b-another");
  const std::filesystem::path receipt = receipt_of(destroy(appliance(), "b-another").entry);
  lose(mek);
  EXPECT_ERROR(Usage, "the key is this appliance's own: it comes back without --retirement",
               restore(appliance(), {file, receipt}));
  EXPECT_TRUE(restore(appliance(), {file, std::nullopt}).returned);
}

// Signed and wrapped well, by the source itself: but the key is not the one whose check value it has.
TEST_F(RefusedKeys, OfBackupsWithAnotherCheckValue) {
  const keys::Mek mek = generate(appliance(), "b-check");
  const std::filesystem::path file = backed_up("b-check");
  keys::MekBackup forged = keys::parse_backup(read_file(file, 65536));
  forged.header.check_value.back() ^= 1U;
  forged.header_bytes = keys::encode_header(forged.header);
  forged.wrapped = keys::wrap_mek(
      appliance().session(), mek, forged.header.suite,
      keys::recovery_peer(forged.header.recovery_point, sha256(forged.header_bytes)), forged.header.nonce);
  forged.signature = appliance().seal_key().sign(keys::signed_text(forged.header_bytes, forged.wrapped));
  write_file(folder / "forged", keys::encode(forged), Existing::Refuse);
  EXPECT_ERROR(Denied, "the key in the backup does not give the backup's check value",
               drill(appliance(), folder / "forged", 30, folder / "certificate", Existing::Refuse));
  EXPECT_NO_THROW(drill(appliance(), file, 30, folder / "certificate", Existing::Refuse));
}

}  // namespace
}  // namespace qpcseal::mek
