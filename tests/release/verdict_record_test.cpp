// SPDX-License-Identifier: Apache-2.0
// What an entry keeps of a verdict, and the inputs that come back from it.
#include "appliance/release/verdict_record.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/release/judged.h"

namespace qpcseal::release {
namespace {

using encoding::Json;

audit::Entry entry_with(const std::string& kind, audit::Phase phase, const std::string& outcome) {
  audit::Entry out;
  out.kind = kind;
  out.phase = phase;
  out.outcome = outcome;
  return out;
}

TEST(VerdictEntries, AreResultsOfReleasesAndUnverifiedReports) {
  using audit::Phase;
  EXPECT_TRUE(is_verdict(entry_with("release", Phase::Result, "ok")));
  EXPECT_TRUE(is_verdict(entry_with("release", Phase::Result, "denied")));
  EXPECT_TRUE(is_verdict(entry_with("denied", Phase::Event, "")));
  EXPECT_FALSE(is_verdict(entry_with("release", Phase::Result, "failed"))) << "no verdict was reached";
  EXPECT_FALSE(is_verdict(entry_with("release", Phase::Result, "unknown")));
  EXPECT_FALSE(is_verdict(entry_with("release", Phase::Intent, "")));
  EXPECT_FALSE(is_verdict(entry_with("seal", Phase::Result, "ok")));
  EXPECT_TRUE(is_unverified(entry_with("denied", Phase::Event, "")));
  EXPECT_FALSE(is_unverified(entry_with("denied", Phase::Result, "ok")));
  EXPECT_FALSE(is_unverified(entry_with("release", Phase::Result, "denied")));
}

// A card, its report and the verdict on it.
class VerdictRecord : public ::testing::Test {
 protected:
  testing::TestCard card;
  testing::PolicyFixture desk = testing::desk_for(card);
  Report report{"report", card.report(), sha256(card.report())};
  Verified verified = verify_attestation(report, desk.policy, desk.trust, desk.now);

  [[nodiscard]] VerdictInputs inputs() const {
    return {desk.policy, desk.state, desk.now, {{keys::Suite::EcdhX963, keys::PeerType::P256}},
            desk.mek_id, 3};
  }
  [[nodiscard]] policy::ChallengeFacts challenge() const {
    return challenge_facts(desk.state, card.nonce, report);
  }
  [[nodiscard]] Json record() const {
    return make_verdict_record(inputs(), challenge(), verified.evidence.claims.value(),
                               make_verdict_record(desk.now - 5, desk.trust));
  }
  [[nodiscard]] audit::Entry genesis() const {
    audit::Entry out = entry_with("genesis", audit::Phase::Event, "");
    out.data = desk.state.genesis;
    return out;
  }
  [[nodiscard]] audit::Entry challenge_entry() const {
    audit::Entry out = entry_with("challenge", audit::Phase::Event, "");
    out.time = desk.now - 60;
    out.data = {{"nonce", to_hex(card.nonce)},
                {"mek_id", to_hex(desk.mek_id)},
                {"expires", desk.now + 3600},
                {"ueid", nullptr}};
    return out;
  }
  [[nodiscard]] Json intent() const {
    return {{"mek_id", to_hex(desk.mek_id)}, {"mek", "resnet50#1"}, {"ueid", to_hex(card.ueid)}};
  }
};

TEST_F(VerdictRecord, OfAReleaseNamesCardKeyAndSuite) {
  const Json facts = granted_facts(verified, judge(inputs(), challenge(), verified));
  EXPECT_EQ(facts.at("ueid"), to_hex(card.ueid));
  EXPECT_EQ(facts.at("nonce"), to_hex(card.nonce));
  EXPECT_EQ(facts.at("device_class"), "the-class");
  EXPECT_EQ(facts.at("suite"), "ecdh-x963-aeskw");
  EXPECT_EQ(facts.at("session_key").at("type"), "p256");
  EXPECT_EQ(facts.at("session_key").at("sha256"),
            sha256_hex(verified.evidence.claims->session_key->public_key));
  EXPECT_EQ(facts.at("svn_floors").size(), 2U) << "one a measurement";
}

TEST_F(VerdictRecord, OfADenialHasItsFindings) {
  desk.mek().releases = 10;
  const Verdict verdict = judge(inputs(), challenge(), verified);
  const Json facts = denied_facts(verified, verdict);
  EXPECT_EQ(facts.at("ueid"), to_hex(card.ueid));
  EXPECT_EQ(facts.at("findings").size(), verdict.decision.findings().size());
  EXPECT_GE(facts.at("findings").size(), 1U);
  EXPECT_FALSE(facts.contains("findings_left_out"));
}

TEST_F(VerdictRecord, OfAReportThatDoesNotVerifyIsCut) {
  Verified bad;
  const std::string longest(512, 'a');
  bad.evidence.findings = {{"ATT-X", longest, longest + "b", std::string(511, 'a') + "\xc3\xa4", "rule"}};
  const Json one = unverified_facts(bad).at("findings").at(0);
  EXPECT_EQ(one.at("claim"), longest);
  EXPECT_EQ(one.at("observed"), longest + "...");
  EXPECT_EQ(one.at("expected"), std::string(511, 'a') + "...") << "no character is cut in two";
  bad.evidence.findings.assign(1000, bad.evidence.findings.front());
  const Json many = unverified_facts(bad);
  EXPECT_EQ(many.at("findings").size() + many.at("findings_left_out").get<std::size_t>(), 1000U);
  EXPECT_LE(encoding::canonical(many.at("findings")).size(), 32768U + 1000U);
  EXPECT_GT(many.at("findings").size(), 10U);
}

TEST_F(VerdictRecord, KeepsTimeAndRevocationLists) {
  desk.trust.crl_floors = {{Bytes{1, 2}, Bytes{7}}, {Bytes{3}, Bytes{}}};
  const Json record = make_verdict_record(desk.now, desk.trust);
  EXPECT_EQ(recorded_time(record), desk.now);
  EXPECT_EQ(recorded_crl_floors(record), desk.trust.crl_floors);
  EXPECT_EQ(record.at("trust"), to_hex(desk.trust.digest));
  EXPECT_ERROR(Malformed, "no member 'verified_at'", recorded_time(Json::object()));
  EXPECT_ERROR(Malformed, "no member 'crl_floors'", recorded_crl_floors(Json::object()));
}

TEST_F(VerdictRecord, GivesTheSameVerdictAgain) {
  desk.mek().releases = 4;
  desk.mek().encryptions = 20;
  desk.state.card_releases[card.ueid] = 2;
  const audit::Entry first = genesis(), asked = challenge_entry();
  const RecordedInputs back = parse_recorded_inputs(record(), first, &asked, intent());
  EXPECT_EQ(back.now, desk.now);
  EXPECT_EQ(back.wanted, 3U);
  ASSERT_EQ(back.suites.size(), 1U);
  EXPECT_EQ(back.suites[0].suite, keys::Suite::EcdhX963);
  EXPECT_EQ(back.suites[0].type, keys::PeerType::P256);
  const audit::MekHistory& mek = back.state.meks.at(desk.mek_id);
  EXPECT_EQ(mek.label, "resnet50#1");
  EXPECT_EQ(mek.releases, 4U);
  EXPECT_EQ(mek.encryptions, 20U);
  EXPECT_EQ(back.state.card_releases.at(card.ueid), 2U);
  const audit::Challenge known = back.state.challenges.find(card.nonce)->second;
  EXPECT_EQ(known.nonce, card.nonce);
  EXPECT_EQ(known.mek_id, desk.mek_id);
  EXPECT_EQ(known.made, desk.now - 60);
  EXPECT_EQ(known.expires, desk.now + 3600);
  EXPECT_FALSE(known.consumed);
  EXPECT_EQ(known.ueid, std::nullopt);
}

TEST_F(VerdictRecord, KeepsTheFloorsOfTheCardsModelAlone) {
  const Bytes model = verified.evidence.claims->hwmodel.value();
  desk.state.svn_floors[{"eat-card", model, "boot"}] = 4;
  desk.state.svn_floors[{"eat-card", Bytes{9}, "boot"}] = 9;
  const audit::Entry first = genesis();
  const RecordedInputs back = parse_recorded_inputs(record(), first, nullptr, intent());
  EXPECT_EQ(back.state.svn_floors,
            (std::map<audit::SvnSubject, std::uint64_t>{{{"eat-card", model, "boot"}, 4}}));
  EXPECT_TRUE(back.state.challenges.empty()) << "the log knew no such challenge";
}

TEST_F(VerdictRecord, IsRefusedWhereItIsNotWhole) {
  const audit::Entry first = genesis(), asked = challenge_entry();
  const Json good = record();
  const auto parse = [&](const Json& judged) {
    return parse_recorded_inputs(judged, first, &asked, intent());
  };
  for (const char* key :
       {"time", "suites", "wanted", "consumed", "releases", "encryptions", "card_releases", "svn_floors"}) {
    Json lacking = good;
    lacking.erase(key);
    EXPECT_ERROR(Malformed, std::string("no member '") + key + "'", parse(lacking));
  }
  Json odd = good;
  odd["suites"][0]["suite"] = 9;
  EXPECT_ERROR(Malformed, "judged: an unknown suite", parse(odd));
  odd = good;
  odd["suites"][0]["peer"] = "p521";
  EXPECT_ERROR(Malformed, "judged: an unknown suite", parse(odd));
}

}  // namespace
}  // namespace qpcseal::release
