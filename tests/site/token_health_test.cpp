// SPDX-License-Identifier: Apache-2.0
// What the token says at the morning look: the appliance's keys, and an anchor that fits the log.
#include "appliance/site/token_health.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "appliance/keys/signing.h"
#include "appliance/keys/token_anchor.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::site {
namespace {

using qpcseal::testing::DemoAppliance;

constexpr const char* kWrongToken =
    "the token was initialized anew, or is another one: put the right one in, or restore the home and its "
    "token";

// Its token is harmed: one for each test.
class MorningToken : public ::testing::Test {
 protected:
  DemoAppliance demo;
  Appliance& appliance = demo.open();
  pkcs11::Session& session = appliance.session();
  keys::TokenAnchor anchor{session};

  std::vector<HealthCheck> look() { return look_at_token(session, demo.home); }
  // The three checks, in their order.
  HealthCheck check(const std::string& id) {
    const std::vector<HealthCheck> all = look();
    EXPECT_EQ(all.size(), 3U);
    EXPECT_EQ(all.at(0).id + ", " + all.at(1).id + ", " + all.at(2).id, "log key, seal key, log anchor");
    for (const HealthCheck& one : all)
      if (one.id == id) return one;
    throw std::runtime_error("no check " + id);
  }
  void expect_fine(const std::string& id, const std::string& text) {
    const HealthCheck found = check(id);
    EXPECT_EQ(found.health, Health::Fine) << id;
    EXPECT_EQ(found.text, text);
    EXPECT_EQ(found.hint, "");
  }
  void expect_fault(const std::string& id, ErrorKind kind, const std::string& text, const std::string& hint) {
    const HealthCheck found = check(id);
    EXPECT_EQ(found.health, Health::Fault) << id;
    EXPECT_EQ(found.kind, kind) << id;
    EXPECT_EQ(found.text, text);
    EXPECT_NE(found.hint.find(hint), std::string::npos) << found.hint;
  }
  void append() {
    const std::string id = to_hex(demo.random.bytes(16));
    appliance.log().result(
        appliance.log().intent("mek-generate", {{"mek_id", id}, {"label", id + "#1"}, {"generation", 1}}),
        "failed", encoding::Json::object());
  }
  [[nodiscard]] audit::AnchorState at(std::uint64_t size) const {
    return {size, audit::read_log(demo.home.log(), std::nullopt).tree.root(size)};
  }
  [[nodiscard]] std::uint64_t size() const { return appliance.log().state().size; }
};

TEST_F(MorningToken, OfThisApplianceIsFine) {
  append();
  expect_fine("log key", "is in the token");
  expect_fine("seal key", "is in the token");
  expect_fine("log anchor", "fits the log");
}

TEST_F(MorningToken, ThatWasInitializedAnewHasNoneOfThem) {
  append();
  for (const char* label : {keys::kLogKeyLabel, keys::kSealKeyLabel})
    keys::destroy_signing_key(session, label);
  anchor.remove();
  expect_fault("log key", ErrorKind::Token, "key 'qpcseal-log': not in the token", kWrongToken);
  expect_fault("seal key", ErrorKind::Token, "key 'qpcseal-seal': not in the token", kWrongToken);
  expect_fault("log anchor", ErrorKind::LogDamaged, "the log's anchor is gone from the token (anchor none)",
               "'qpcseal audit anchor-accept'");
}

TEST_F(MorningToken, OfAnotherApplianceHasOtherKeys) {
  for (const char* label : {keys::kLogKeyLabel, keys::kSealKeyLabel}) {
    keys::destroy_signing_key(session, label);
    keys::generate_signing_key(session, label, keys::SigningType::Ed25519);
  }
  expect_fault("log key", ErrorKind::LogDamaged,
               "the audit log was signed with another key than the one in this token", kWrongToken);
  const HealthCheck seal = check("seal key");
  EXPECT_EQ(seal.health, Health::Fault);
  EXPECT_EQ(seal.kind, ErrorKind::Denied);
  EXPECT_EQ(seal.text.find("the seal key"), 0U) << seal.text;
  expect_fine("log anchor", "fits the log");
}

TEST_F(MorningToken, MayBeOneAppendBehindTheLog) {
  append();
  anchor.remove();
  anchor.write(at(size() - 1));
  expect_fine("log anchor", "fits the log");
  anchor.remove();
  anchor.write(at(size() - 2));
  expect_fault("log anchor", ErrorKind::LogDamaged,
               "the token's memory of the audit log is old: it ends before entry " +
                   std::to_string(size() - 2) + ", and more than one append follows (anchor " +
                   audit::to_string(at(size() - 2)) + ")",
               "'qpcseal audit anchor-accept'");
}

TEST_F(MorningToken, RemembersALogThatWasLonger) {
  audit::AnchorState later = at(size());
  later.size += 2;
  anchor.write(later);
  expect_fault("log anchor", ErrorKind::LogDamaged,
               "the audit log was rolled back: it has " + std::to_string(size()) +
                   " entries, the token remembers " + std::to_string(size() + 2) + "; entry " +
                   std::to_string(size()) + " is missing",
               "'qpcseal home restore' of a newer backup");
}

TEST_F(MorningToken, RemembersAnotherLog) {
  audit::AnchorState other = at(size());
  other.root[0] ^= 1;
  anchor.remove();
  anchor.write(other);
  expect_fault(
      "log anchor", ErrorKind::LogDamaged,
      "the audit log is not the one that the token remembers at " + std::to_string(size()) + " entries",
      kWrongToken);
}

TEST_F(MorningToken, NeedsNoAnchorWhereTheSiteSaysThatItKeepsNone) {
  audit::SiteFacts without = appliance.facts();
  without.anchor = false;
  const std::string other(64, '2');
  appliance.log().event("site", {{"old", as_json(appliance.facts())},
                                 {"new", as_json(without)},
                                 {"approval", {{"nonce", other}, {"request_sha256", other}}}});
  expect_fine("log anchor", "fits the log");
  anchor.remove();
  expect_fine("log anchor", "none: the token keeps no data objects");
}

TEST_F(MorningToken, IsNotLookedAtBesideADamagedLog) {
  testing::write_text(demo.home.log() / "entries.jsonl", "nonsense\n");
  const std::vector<HealthCheck> found = look();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].id, "log");
  EXPECT_EQ(found[0].health, Health::Fault);
  EXPECT_EQ(found[0].kind, ErrorKind::LogDamaged);
  EXPECT_NE(found[0].text, "");
}

TEST_F(MorningToken, ThatIsGoneIsAFaultAndNoException) {
  appliance.module().calls().C_CloseAllSessions(appliance.token().slot);
  for (const HealthCheck& one : look()) {
    EXPECT_EQ(one.health, Health::Fault) << one.id;
    EXPECT_EQ(one.kind, ErrorKind::Token) << one.id;
    EXPECT_EQ(one.text, "C_FindObjectsInit(): CKR_SESSION_HANDLE_INVALID (0xb3)") << one.id;
  }
}

}  // namespace
}  // namespace qpcseal::site
