// SPDX-License-Identifier: Apache-2.0
// Checkpoints that somebody kept hold the log to what it was.
#include "appliance/site/seen_checkpoints.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::site {
namespace {

using qpcseal::testing::LoggedHome;
using qpcseal::testing::read_text;
using qpcseal::testing::write_text;

class SeenCheckpoints : public ::testing::Test {
 protected:
  LoggedHome site{false};
  std::string first = site.log->checkpoint();  // of one entry
  std::filesystem::path note = site.home.witness() / "00000000.note";

  SeenCheckpoints() { grow(); }
  void grow() { site.log->event("challenge", testing::challenge_data(site.log->state().size)); }
  // A checkpoint by the log's own key, of any size and root.
  std::string signed_note(std::uint64_t size, const tlog::Hash& root) {
    return tlog::sign_checkpoint({size, root}, site.host.signer.verifier(testing::kOrigin), site.host.signer);
  }
  void require(const std::string& seen) {
    require_continues(site.log->state(), site.log->tree(), seen, "the note");
  }
};

TEST_F(SeenCheckpoints, HoldForALogThatContinuesFromThem) {
  EXPECT_NO_THROW(require(first));
  EXPECT_NO_THROW(require(site.log->checkpoint()));
  EXPECT_EQ(size_signed_by(site.log->state(), first), 1U);
  EXPECT_EQ(size_signed_by(site.log->state(), site.log->checkpoint()), 2U);
}

TEST_F(SeenCheckpoints, ShowARollback) {
  const std::string longer = signed_note(3, sha256(view("root")));
  EXPECT_ERROR(LogDamaged, "rolled back: it has 2 entries, the note has 3", require(longer));
  EXPECT_ERROR(LogDamaged, "rolled back: it has 2 entries, the note has 3",
               require_as_long(site.log->state(), {3, {}}, "the note"));
  EXPECT_NO_THROW(require_as_long(site.log->state(), {2, {}}, "the note"));
}

TEST_F(SeenCheckpoints, ShowARewrittenLog) {
  EXPECT_ERROR(LogDamaged, "does not continue from the note: it was rewritten",
               require(signed_note(1, sha256(view("root")))));
  EXPECT_ERROR(LogDamaged, "does not continue", require(signed_note(2, site.log->tree().root(1))));
  EXPECT_ERROR(LogDamaged, "does not continue", require(signed_note(0, tlog::Tree().root(0))));
}

TEST_F(SeenCheckpoints, CountOnlyWhereAKeyOfTheLogSignedThem) {
  testing::HostSigner other(tlog::KeyType::Ed25519);
  const std::string foreign = tlog::sign_checkpoint({1, {}}, other.verifier(testing::kOrigin), other);
  EXPECT_ERROR(LogDamaged, "the note was not signed by any key that this log knows of", require(foreign));
  EXPECT_EQ(size_signed_by(site.log->state(), foreign), std::nullopt);
  EXPECT_EQ(size_signed_by(site.log->state(), "no note"), std::nullopt);
  std::string forged = first;
  forged[forged.find("\n1\n") + 1] = '2';
  EXPECT_ERROR(LogDamaged, "the note: ", require(forged));
  EXPECT_EQ(size_signed_by(site.log->state(), forged), std::nullopt);
}

TEST_F(SeenCheckpoints, OfTheHomeAreAllHeldAgainstTheLog) {
  EXPECT_NO_THROW(check_witnesses(site.home, *site.log)) << "none";
  write_text(note, first);
  EXPECT_NO_THROW(check_witnesses(site.home, *site.log));
  EXPECT_NO_THROW(check_witnesses(site.home, site.copy()));
  write_text(site.home.witness() / "11111111.note", signed_note(9, {}));
  EXPECT_ERROR(LogDamaged, "rolled back", check_witnesses(site.home, *site.log));
  EXPECT_ERROR(LogDamaged, "rolled back", check_witnesses(site.home, site.copy()));
}

TEST_F(SeenCheckpoints, NameTheFileThatSpeaksAgainstTheLog) {
  write_text(note, signed_note(1, sha256(view("root"))));
  EXPECT_ERROR(LogDamaged, "does not continue from " + note.string(), check_witnesses(site.home, *site.log));
  write_text(note, "no note");
  EXPECT_ERROR(Malformed, note.string() + " is damaged: ", check_witnesses(site.home, *site.log));
}

TEST_F(SeenCheckpoints, AreFilesOfTheirExtensionAlone) {
  write_text(site.home.witness() / "00000000.note.part", "no note");
  EXPECT_NO_THROW(check_witnesses(site.home, *site.log));
  std::filesystem::remove_all(site.home.witness());
  EXPECT_NO_THROW(check_witnesses(site.home, *site.log)) << "a home without the folder";
}

TEST_F(SeenCheckpoints, OfATrustedWitnessHold) {
  testing::TestWitness witness;
  site.log->event("witness-key", {{"vkey", witness.vkey()}, {"trusted", true}});
  const std::string cosigned = witness.cosign(site.log->checkpoint(), 1800000000);
  const tlog::Checkpoint seen{site.log->state().size, site.log->tree().root(site.log->state().size)};
  site.log->event("witness", {{"vkey", witness.vkey()},
                              {"note", cosigned},
                              {"size", seen.size},
                              {"root", to_hex(seen.root)},
                              {"witness_time", 1800000000}});
  write_text(site.home.witness() / (witness.id() + ".note"), cosigned);
  EXPECT_NO_THROW(check_witnesses(site.home, *site.log));
  EXPECT_NO_THROW(check_witnesses(site.home, site.copy()));
}

}  // namespace
}  // namespace qpcseal::site
