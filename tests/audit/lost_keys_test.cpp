// SPDX-License-Identifier: Apache-2.0
// What a log may say of a key that the token lost, and of officers' agreement to an act that failed.
#include <gtest/gtest.h>

#include "appliance/audit/log.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

std::string hex(std::size_t bytes, char digit) { return std::string(2 * bytes, digit); }
const std::string kOne = hex(16, '1'), kTwo = hex(16, '2'), kNonce = hex(32, 'e'), kRequest = hex(32, 'f');

class LostKeys : public ::testing::Test {
 protected:
  LostKeys() {
    encoding::Json data = testing::genesis_data();
    data["log_key"] = testing::HostSigner(tlog::KeyType::Ed25519).verifier("log.test").text();
    append("genesis", Phase::Event, data);
  }
  std::uint64_t append(const std::string& kind, Phase phase, encoding::Json data) {
    Entry entry;
    entry.seq = state.size;
    entry.time = state.last_time + 1;
    entry.txn = hex(16, 'a');
    entry.kind = kind;
    entry.phase = phase;
    entry.data = std::move(data);
    state.apply(entry);
    return entry.seq;
  }
  std::uint64_t begin(const std::string& kind, encoding::Json data) {
    return append(kind, Phase::Intent, std::move(data));
  }
  void end(const std::string& kind, std::uint64_t intent, const std::string& outcome) {
    Entry entry;
    entry.seq = state.size;
    entry.time = state.last_time + 1;
    entry.txn = hex(16, 'a');
    entry.kind = kind;
    entry.phase = Phase::Result;
    entry.intent = intent;
    entry.outcome = outcome;
    state.apply(entry);
  }
  void act(const std::string& kind, encoding::Json data, const std::string& outcome) {
    end(kind, begin(kind, std::move(data)), outcome);
  }
  static encoding::Json key(const std::string& id = kOne, const std::string& label = "m#1") {
    return {{"mek_id", id}, {"mek", label}, {"label", label}, {"generation", 1}, {"encryptions", 5}};
  }
  static encoding::Json back(const std::string& origin, const std::string& lost,
                             const std::string& label = "m#1") {
    encoding::Json out = key(kOne, label);
    out["origin"] = origin;
    out["lost"] = lost;
    return out;
  }
  static encoding::Json approved(encoding::Json data, const std::string& request = kRequest) {
    data["approval"] = {{"nonce", kNonce}, {"request_sha256", request}};
    return data;
  }
  [[nodiscard]] const MekHistory& mek() const { return state.meks.at(from_hex(kOne)); }

  State state;
};

TEST_F(LostKeys, OneThatWasMadeHereGoesOnAsBefore) {
  act("mek-generate", key(), "ok");
  begin("seal", key());
  const MekHistory before = mek();
  act("mek-restore", back("returned", "generated"), "ok");
  EXPECT_EQ(mek().origin, "generated");
  EXPECT_EQ(mek().state, "ok");
  EXPECT_TRUE(mek().returned);
  EXPECT_EQ(mek().created, before.created);
  EXPECT_EQ(mek().encryptions, before.encryptions);
  act("mek-restore", back("returned", "generated"), "ok");  // and may be lost again
}

TEST_F(LostKeys, ARestoreThatFailsLeavesItLost) {
  act("mek-generate", key(), "ok");
  append("mek-suspend", Phase::Event, key());
  act("mek-restore", back("returned", "generated"), "failed");
  EXPECT_EQ(mek().state, "suspended");
  EXPECT_EQ(mek().origin, "generated");
  act("mek-restore", back("returned", "generated"), "ok");
  EXPECT_EQ(mek().state, "suspended");
}

TEST_F(LostKeys, ACopyStaysACopyOrBecomesAnHeir) {
  encoding::Json first = key();
  first["origin"] = "restored";
  act("mek-restore", first, "ok");
  EXPECT_ERROR(Malformed, "another origin", begin("mek-restore", back("returned", "restored")));
  act("mek-restore", back("transferee", "restored"), "failed");
  EXPECT_EQ(mek().origin, "restored");
  act("mek-restore", back("restored", "restored"), "ok");
  EXPECT_EQ(mek().origin, "restored");
  act("mek-restore", back("transferee", "restored"), "ok");
  EXPECT_EQ(mek().origin, "transferee");
}

TEST_F(LostKeys, AnImportedOneComesBackFromItsFile) {
  const auto file = [](const std::string& check, const std::string& lost = "") {
    encoding::Json out = key();
    out["check_value"] = hex(32, check[0]);
    out["history"] = "unknown";
    if (!lost.empty()) out["lost"] = lost;
    return out;
  };
  EXPECT_ERROR(Malformed, "never here", begin("mek-import", file("5", "imported")));
  act("mek-import", file("5"), "ok");
  append("mek-suspend", Phase::Event, key());
  const MekHistory before = mek();
  EXPECT_ERROR(Malformed, "a MEK id that was used before", begin("mek-import", file("5")));
  EXPECT_ERROR(Malformed, "another key", begin("mek-import", file("6", "imported")));
  EXPECT_ERROR(Malformed, "another MEK", begin("mek-import", file("5", "generated")));
  encoding::Json fewer = file("5", "imported");
  fewer["encryptions"] = 4;
  EXPECT_ERROR(Malformed, "goes down", begin("mek-import", fewer));
  encoding::Json renamed = file("5", "imported");
  renamed["label"] = "n#1";
  EXPECT_ERROR(Malformed, "another MEK", begin("mek-import", renamed));
  act("mek-import", file("5", "imported"), "failed");
  EXPECT_EQ(mek().state, "suspended");
  EXPECT_EQ(mek().origin, "imported");
  act("mek-import", file("5", "imported"), "ok");
  MekHistory after = mek();
  after.before = before.before;
  EXPECT_EQ(after, before);
  act("mek-destroy", key(), "ok");
  EXPECT_ERROR(Malformed, "a lost MEK that is 'destroyed'", begin("mek-import", file("5", "imported")));
}

TEST_F(LostKeys, OneThatWasMadeHereDoesNotComeBackFromAFile) {
  act("mek-generate", key(), "ok");
  encoding::Json file = key();
  file["check_value"] = hex(32, '5');
  file["lost"] = "generated";
  EXPECT_ERROR(Malformed, "not imported", begin("mek-import", file));
}

TEST_F(LostKeys, OnlyAKeyThatIsInUseCanBeLost) {
  EXPECT_ERROR(Malformed, "never here", begin("mek-restore", back("restored", "restored")));
  act("mek-generate", key(), "ok");
  EXPECT_ERROR(Malformed, "in use", begin("mek-restore", [] {
                 encoding::Json data = key();
                 data["origin"] = "restored";
                 return data;
               }()));
  EXPECT_ERROR(Malformed, "origin 'returned'", begin("mek-restore", [] {
                 encoding::Json data = key();
                 data["origin"] = "returned";
                 return data;
               }()));
  EXPECT_ERROR(Malformed, "another origin", begin("mek-restore", back("transferee", "generated")));
  EXPECT_ERROR(Malformed, "another MEK", begin("mek-restore", back("returned", "imported")));
  EXPECT_ERROR(Malformed, "another MEK", begin("mek-restore", back("returned", "generated", "n#1")));
  act("mek-destroy", key(), "ok");
  EXPECT_ERROR(Malformed, "a lost MEK that is 'destroyed'",
               begin("mek-restore", back("returned", "generated")));
}

TEST_F(LostKeys, AnActThatFailedGivesItsApprovalBack) {
  act("mek-generate", approved(key()), "failed");
  EXPECT_ERROR(Malformed, "used before", begin("mek-generate", approved(key(kTwo), hex(32, '0'))));
  const std::uint64_t again = begin("mek-generate", approved(key(kTwo)));
  EXPECT_ERROR(Malformed, "used before", begin("mek-generate", approved(key(hex(16, '3')))));
  end("mek-generate", again, "ok");
  EXPECT_ERROR(Malformed, "used before", begin("mek-generate", approved(key(hex(16, '3')))));
}

TEST_F(LostKeys, OneThatIsDoneOrUnknownDoesNot) {
  for (const char* outcome : {"ok", "unknown", "denied"}) {
    SCOPED_TRACE(outcome);
    State before = state;
    act("mek-generate", approved(key()), outcome);
    EXPECT_ERROR(Malformed, "used before", begin("mek-generate", approved(key(kTwo))));
    state = std::move(before);
  }
}

// Another copy to the same recovery key tells nobody more.
TEST_F(LostKeys, ABackupThatMayExistMayBeMadeAgain) {
  act("mek-generate", key(), "ok");
  begin("mek-backup", approved(key()));
  end("mek-backup", state.size - 1, "unknown");
  begin("mek-backup", approved(key()));
}

TEST_F(LostKeys, ARejectionEndsAnApprovalThatWasGivenBack) {
  act("mek-generate", approved(key()), "failed");
  append("rejection", Phase::Event,
         {{"operation", "mek-generate"}, {"nonce", kNonce}, {"request_sha256", kRequest}});
  EXPECT_ERROR(Malformed, "used before", begin("mek-generate", approved(key(kTwo))));
}

}  // namespace
}  // namespace qpcseal::audit
