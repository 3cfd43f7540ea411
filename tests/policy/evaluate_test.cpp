// SPDX-License-Identifier: Apache-2.0
// From facts that pass, each single change is denied, for its own reason and no other.
#include "policy/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <set>
#include <type_traits>

#include "tests/base/expect_error.h"
#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::sample_facts;
using testing::sample_policy;
using testing::sample_policy_text;
using testing::sample_seal_facts;

// Only evaluate() makes decisions.
static_assert(!std::is_default_constructible_v<Decision>);
static_assert(!std::is_constructible_v<Decision, bool>);
static_assert(!std::is_constructible_v<Decision, bool, Findings>);
static_assert(!std::is_constructible_v<Decision, bool, Findings, std::string>);
static_assert(!std::is_aggregate_v<Decision>);

std::vector<std::string> finding_ids(const Decision& decision) {
  std::vector<std::string> out;
  for (const Finding& finding : decision.findings()) out.push_back(finding.id);
  return out;
}

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(Release, TheSampleIsAllowed) {
  const Decision decision = evaluate(sample_policy(), sample_facts());
  EXPECT_TRUE(decision.allowed());
  EXPECT_THAT(decision.findings(), IsEmpty());
  EXPECT_EQ(decision.device_class(), "ai100");
}

TEST(Release, NoFactsAtAllAreDenied) {
  const Decision decision = evaluate(sample_policy(), Facts{});
  EXPECT_FALSE(decision.allowed());
  EXPECT_EQ(decision.device_class(), "");
  EXPECT_FALSE(evaluate(Policy{}, sample_facts()).allowed());
  EXPECT_FALSE(evaluate(Policy{}, Facts{}).allowed());
}

template <typename F>
struct Change {
  const char* what;
  std::function<void(F&)> make;
  const char* id;
};

std::vector<Change<Facts>> card_changes() {
  return {
      {"scheme", [](Facts& f) { f.card.scheme = "other"; }, "POL-SCHEME"},
      {"root", [](Facts& f) { f.card.root[31] ^= 1; }, "POL-ROOT"},
      {"no root", [](Facts& f) { f.card.root.clear(); }, "POL-ROOT"},
      {"crls", [](Facts& f) { f.card.crls_current = false; }, "POL-CRL"},
      {"oemid", [](Facts& f) { f.card.oemid = 1; }, "POL-OEMID"},
      {"hwmodel", [](Facts& f) { f.card.hwmodel->push_back(0); }, "POL-HWMODEL"},
      {"hwversion", [](Facts& f) { f.card.hwversion = "2.0 "; }, "POL-HWVERSION"},
      {"oemboot", [](Facts& f) { f.card.oemboot = false; }, "POL-OEMBOOT"},
      {"dbgstat 1", [](Facts& f) { f.card.dbgstat = 1; }, "POL-DBGSTAT"},
      {"dbgstat 5", [](Facts& f) { f.card.dbgstat = 5; }, "POL-DBGSTAT"},
      {"lifecycle", [](Facts& f) { f.card.lifecycle = "rma"; }, "POL-LIFECYCLE"},
      {"no lifecycle", [](Facts& f) { f.card.lifecycle.reset(); }, "POL-LIFECYCLE"},
      {"measurement missing", [](Facts& f) { f.card.measurements.clear(); }, "POL-MEASUREMENT-MISSING"},
      {"measurement extra", [](Facts& f) { f.card.measurements.push_back({"more", Bytes(32, 9), 9}); },
       "POL-MEASUREMENT-EXTRA"},
      {"digest", [](Facts& f) { f.card.measurements[0].digest[0] ^= 1; }, "POL-MEASUREMENT-DIGEST"},
      {"digest cut", [](Facts& f) { f.card.measurements[0].digest.pop_back(); }, "POL-MEASUREMENT-DIGEST"},
      {"second entry of the same name, wrong",
       [](Facts& f) { f.card.measurements.push_back({"boot", Bytes(32, 9), 9}); }, "POL-MEASUREMENT-DIGEST"},
      {"svn low", [](Facts& f) { f.card.measurements[0].svn = 4; }, "POL-SVN POL-SVN-FLOOR"},
      {"svn absent", [](Facts& f) { f.card.measurements[0].svn.reset(), f.svn_floors.clear(); }, "POL-SVN"},
      {"svn under the log's floor", [](Facts& f) { f.svn_floors[0].svn = 6; }, "POL-SVN-FLOOR"},
      {"svn absent under a floor",
       [](Facts& f) { f.svn_floors.push_back({"eat-card", *f.card.hwmodel, "nsp/firmware", 1}); },
       "POL-SVN-FLOOR"},
      {"as often as a card may", [](Facts& f) { f.card_releases = 100; }, "POL-CARD-RELEASES"},
      {"far more often", [](Facts& f) { f.card_releases = kMost; }, "POL-CARD-RELEASES"},
      {"no oemid", [](Facts& f) { f.card.oemid.reset(); }, "POL-OEMID"},
      {"no hwmodel, and so no floor either", [](Facts& f) { f.card.hwmodel.reset(); }, "POL-HWMODEL"},
      {"no hwversion", [](Facts& f) { f.card.hwversion.reset(); }, "POL-HWVERSION"},
      {"no oemboot", [](Facts& f) { f.card.oemboot.reset(); }, "POL-OEMBOOT"},
      {"submod missing", [](Facts& f) { f.card.submods.clear(); }, "POL-SUBMOD-MISSING"},
      {"submod extra", [](Facts& f) { f.card.submods.push_back({"x", 4, {}}); }, "POL-SUBMOD-EXTRA"},
      {"submod dbgstat", [](Facts& f) { f.card.submods[0].dbgstat = 1; }, "POL-SUBMOD-DBGSTAT"},
      {"submod dbgstat 5", [](Facts& f) { f.card.submods[0].dbgstat = 5; }, "POL-SUBMOD-DBGSTAT"},
      {"submod digest", [](Facts& f) { f.card.submods[0].measurements[0].digest[0] ^= 1; },
       "POL-MEASUREMENT-DIGEST"},
      {"submod measurement missing", [](Facts& f) { f.card.submods[0].measurements.clear(); },
       "POL-MEASUREMENT-MISSING"},
      {"submod measurement extra",
       [](Facts& f) { f.card.submods[0].measurements.push_back({"boot", Bytes(32, 0x22), 5}); },
       "POL-MEASUREMENT-EXTRA"},
  };
}

std::vector<Change<Facts>> other_changes() {
  return {
      {"policy expired",
       [](Facts& f) {
         f.now = parse_time("2027-01-01T00:00:00Z");
         f.challenge.made = f.now - 1;
         f.challenge.expiry = f.now + 1;
       },
       "POL-EXPIRED"},
      {"challenge unknown", [](Facts& f) { f.challenge.known = false; }, "POL-CHALLENGE"},
      {"challenge consumed", [](Facts& f) { f.challenge.consumed = true; }, "POL-CHALLENGE-USED"},
      {"nonce", [](Facts& f) { f.card.nonce[0] ^= 1; }, "POL-CHALLENGE-NONCE"},
      {"nonces both empty", [](Facts& f) { f.card.nonce = f.challenge.nonce = {}; }, "POL-CHALLENGE-NONCE"},
      {"aud", [](Facts& f) { f.card.aud[0] ^= 1; }, "POL-AUD"},
      {"auds both empty", [](Facts& f) { f.card.aud = f.challenge.aud = {}; }, "POL-AUD"},
      {"expired this second", [](Facts& f) { f.challenge.expiry = f.now; }, "POL-CHALLENGE-EXPIRED"},
      {"too old", [](Facts& f) { f.challenge.made = f.now - 86400; }, "POL-CHALLENGE-LIFETIME"},
      {"from the future", [](Facts& f) { f.challenge.made = f.now + 1; }, "POL-CHALLENGE-LIFETIME"},
      {"for another MEK", [](Facts& f) { f.challenge.mek_id[0] ^= 1; }, "POL-CHALLENGE-MEK"},
      {"MEK finding_ids both empty", [](Facts& f) { f.challenge.mek_id = f.mek.id = {}; },
       "POL-CHALLENGE-MEK"},
      {"for another card", [](Facts& f) { (*f.challenge.ueid)[0] ^= 1; }, "POL-CHALLENGE-UEID"},
      {"no rule for the key", [](Facts& f) { f.mek.label = "bert#1"; }, "POL-MEK"},
      {"no label", [](Facts& f) { f.mek.label.clear(); }, "POL-MEK"},
      {"suite not allowed, nor for the key", [](Facts& f) { f.suite = 0; }, "POL-SUITE POL-SUITE-KEY"},
      {"suite for another key", [](Facts& f) { f.suite = 2, f.card.session_key = "p384"; }, "POL-SUITE-KEY"},
      {"session key kind", [](Facts& f) { f.card.session_key = "rsa"; }, "POL-SUITE-KEY POL-SESSION-KEY"},
      {"one release too many", [](Facts& f) { f.mek.releases = 10; }, "POL-RELEASES"},
      {"a transaction too large", [](Facts& f) { f.releases_wanted = 8; }, "POL-RELEASES"},
      {"a transaction that wraps", [](Facts& f) { f.releases_wanted = kMost; }, "POL-RELEASES"},
      {"a count beyond the maximum", [](Facts& f) { f.mek.releases = kMost; }, "POL-RELEASES"},
      {"nothing wanted", [](Facts& f) { f.releases_wanted = 0; }, "POL-RELEASES"},
      {"an unlisted card", [](Facts& f) { f.card.ueid[6] = 0xee, f.challenge.ueid.reset(); }, "POL-UEID"},
      {"a card without a name", [](Facts& f) { f.card.ueid.clear(), f.challenge.ueid.reset(); }, "POL-UEID"},
      {"a revoked card", [](Facts& f) { f.card.ueid[6] = 0, f.challenge.ueid.reset(); }, "POL-REVOKED"},
  };
}

template <typename F>
void expect_each_denied(const F& good, const std::vector<Change<F>>& changes) {
  const Policy policy = sample_policy();
  for (const auto& change : changes) {
    F facts = good;
    change.make(facts);
    const Decision decision = evaluate(policy, facts);
    EXPECT_FALSE(decision.allowed()) << change.what;
    EXPECT_EQ(decision.device_class(), "") << change.what;
    std::string joined;
    for (const std::string& id : finding_ids(decision)) joined += (joined.empty() ? "" : " ") + id;
    EXPECT_EQ(joined, change.id) << change.what;
  }
}

TEST(Release, EachFactOfTheCardCounts) { expect_each_denied(sample_facts(), card_changes()); }
TEST(Release, SoDoChallengeBudgetAndKey) { expect_each_denied(sample_facts(), other_changes()); }

TEST(Release, ClaimsWrittenAsNoneMustBeAbsent) {
  Policy policy = sample_policy();
  DeviceClass& device = policy.devices[0];
  device.oemid.value.reset();
  device.hwmodel.value.reset();
  device.hwversion.value.reset();
  device.lifecycle.value.reset();
  device.oemboot.value = false;
  EXPECT_THAT(finding_ids(evaluate(policy, sample_facts())),
              ElementsAre("POL-OEMID", "POL-HWMODEL", "POL-HWVERSION", "POL-LIFECYCLE", "POL-OEMBOOT"));
  Facts facts = sample_facts();
  facts.card.oemid.reset();
  facts.card.hwmodel.reset();
  facts.card.hwversion.reset();
  facts.card.lifecycle.reset();
  facts.card.oemboot.reset();
  EXPECT_TRUE(evaluate(policy, facts).allowed());
  facts.card.oemboot = false;
  EXPECT_THAT(finding_ids(evaluate(policy, facts)), ElementsAre("POL-OEMBOOT"));
}

TEST(Release, WithoutASessionKeyItSaysWhy) {
  Facts facts = sample_facts();
  facts.card.session_key.clear();
  facts.card.session_key_fault = "no public_key";
  const Decision decision = evaluate(sample_policy(), facts);
  EXPECT_THAT(finding_ids(decision), ElementsAre("POL-SUITE-KEY", "POL-SESSION-KEY"));
  EXPECT_EQ(decision.findings()[1].observed, "none: no public_key");
}

TEST(Release, FloorsOfOtherModelsDoNotCountAndMinimumsAreTheHigher) {
  Facts facts = sample_facts();
  facts.svn_floors = {{"aws-nitro", *facts.card.hwmodel, "boot", 9},
                      {"eat-card", from_hex("beef"), "boot", 9},
                      {"eat-card", *facts.card.hwmodel, "firmware", 9}};
  facts.card.measurements[0].svn = 8;
  const Decision first = evaluate(sample_policy(), facts);
  ASSERT_TRUE(first.allowed());
  EXPECT_THAT(first.svn_minimums(), ElementsAre(SvnFloor{"eat-card", *facts.card.hwmodel, "boot", 5}));
  facts.svn_floors.push_back({"eat-card", *facts.card.hwmodel, "boot", 7});
  const Decision second = evaluate(sample_policy(), facts);
  EXPECT_THAT(second.svn_minimums(), ElementsAre(SvnFloor{"eat-card", *facts.card.hwmodel, "boot", 7}));
  facts.card.measurements[0].svn = 6;
  EXPECT_THAT(evaluate(sample_policy(), facts).svn_minimums(), IsEmpty());
}

TEST(Release, AllReasonsAreGiven) {
  Facts facts = sample_facts();
  facts.challenge.consumed = true;
  facts.card.oemboot = false;
  facts.mek.releases = 10;
  EXPECT_THAT(finding_ids(evaluate(sample_policy(), facts)),
              ElementsAre("POL-CHALLENGE-USED", "POL-RELEASES", "POL-OEMBOOT"));
}

TEST(Release, TheLimitsThemselvesAreAllowed) {
  for (const auto& change : std::vector<std::function<void(Facts&)>>{
           [](Facts& f) { f.releases_wanted = 7; }, [](Facts& f) { f.card.dbgstat = 2; },
           [](Facts& f) { f.card.dbgstat = 4; }, [](Facts& f) { f.challenge.made = f.now - 86399; },
           [](Facts& f) { f.challenge.made = f.now; }, [](Facts& f) { f.challenge.expiry = f.now + 1; },
           [](Facts& f) { f.challenge.ueid.reset(); }, [](Facts& f) { f.card.session_key = "p384"; },
           [](Facts& f) { f.suite = 2; }, [](Facts& f) { f.mek.label = "resnet"; },
           [](Facts& f) { f.card.measurements[0].svn = kMost; }}) {
    Facts facts = sample_facts();
    change(facts);
    EXPECT_TRUE(evaluate(sample_policy(), facts).allowed());
  }
}

TEST(Release, AnyUeidAndNoCrlOnlyWhereWrittenOut) {
  Facts facts = sample_facts();
  facts.card.ueid[6] = 0xee;
  facts.challenge.ueid.reset();
  facts.card.crls_current = false;
  Policy policy = parse_policy(sample_policy_text("crl = \"required\"", "crl = \"none\""));
  policy.devices[0].ueids.value.reset();
  EXPECT_TRUE(evaluate(policy, facts).allowed());
  facts.card.ueid.clear();
  EXPECT_THAT(finding_ids(evaluate(policy, facts)), ElementsAre("POL-UEID"));
}

TEST(Release, ARuleWithoutClassesOrWithAnUnknownOneDenies) {
  Policy policy = sample_policy();
  policy.meks[0].devices.value.clear();
  EXPECT_THAT(finding_ids(evaluate(policy, sample_facts())), ElementsAre("POL-DEVICE"));
  policy.meks[0].devices.value = {"gone"};
  const Decision decision = evaluate(policy, sample_facts());
  EXPECT_THAT(finding_ids(decision), ElementsAre("POL-DEVICE"));
  EXPECT_EQ(decision.findings()[0].observed, "gone");
  policy.meks[0].devices.value = {"gone", "ai100"};
  EXPECT_TRUE(evaluate(policy, sample_facts()).allowed());
  EXPECT_EQ(challenge_lifetime(policy, "resnet50#1"), 86400);
  EXPECT_THAT(session_key_types(policy, "resnet50#1"), ElementsAre("p256", "p384"));
}

TEST(Release, TwoRulesForOneKeyDeny) {
  Policy policy = sample_policy();
  policy.meks.push_back(policy.meks[0]);
  EXPECT_THAT(finding_ids(evaluate(policy, sample_facts())), ElementsAre("POL-MEK-AMBIGUOUS"));
  EXPECT_THAT(finding_ids(evaluate(policy, sample_seal_facts())), ElementsAre("POL-MEK-AMBIGUOUS"));
  EXPECT_EQ(policy.mek("resnet50#1"), nullptr);
}

TEST(Release, OneClassMustFitAsAWhole) {
  Policy policy = sample_policy();  // the first class refuses the maker, the second the model
  policy.devices.push_back(policy.devices[0]);
  policy.devices[0].oemid.value = 1;
  policy.devices[1].name = "second";
  policy.meks[0].devices.value = {"ai100", "second"};
  EXPECT_EQ(evaluate(policy, sample_facts()).device_class(), "second");
  policy.devices[1].hwversion.value = "3";
  EXPECT_THAT(finding_ids(evaluate(policy, sample_facts())), ElementsAre("POL-OEMID", "POL-HWVERSION"));
}

TEST(Release, RevokedAnywhereIsRevokedEverywhere) {
  Policy policy = sample_policy();
  policy.devices.push_back(policy.devices[0]);
  policy.devices[1].name = "second";
  policy.devices[1].revoked_ueids.value = {sample_facts().card.ueid};
  EXPECT_THAT(finding_ids(evaluate(policy, sample_facts())), ElementsAre("POL-REVOKED"));
}

TEST(Release, SuitesServeTheirOwnKeysOnly) {
  Policy policy = sample_policy();
  policy.meks[0].suites.value = {1, 2, 3, 4, 5};
  policy.devices[0].session_keys.value = {"p256", "p384", "rsa"};
  const std::set<std::pair<unsigned, std::string>> good = {
      {1, "p256"}, {1, "p384"}, {2, "p256"}, {3, "rsa"}, {4, "rsa"}};
  for (unsigned suite = 1; suite <= 5; ++suite) {
    for (const char* key : {"p256", "p384", "rsa"}) {
      Facts facts = sample_facts();
      facts.suite = suite;
      facts.card.session_key = key;
      EXPECT_EQ(evaluate(policy, facts).allowed(), good.contains({suite, key})) << suite << key;
    }
  }
}

TEST(Seal, EachFactCounts) {
  EXPECT_TRUE(evaluate(sample_policy(), sample_seal_facts()).allowed());
  EXPECT_FALSE(evaluate(sample_policy(), SealFacts{}).allowed());
  expect_each_denied<SealFacts>(
      sample_seal_facts(),
      {{"expired", [](SealFacts& f) { f.now = parse_time("2027-01-01T00:00:00Z"); }, "POL-EXPIRED"},
       {"mode", [](SealFacts& f) { f.mode = "envelope"; }, "POL-MODE"},
       {"no mode", [](SealFacts& f) { f.mode.clear(); }, "POL-MODE"},
       {"one segment fewer", [](SealFacts& f) { f.segments.pop_back(); }, "POL-SEGMENTS"},
       {"one segment more", [](SealFacts& f) { f.segments.push_back("networkdesc.bin"); }, "POL-SEGMENTS"},
       {"one twice", [](SealFacts& f) { f.segments.push_back("network.elf"); }, "POL-SEGMENTS"},
       {"a CRC of what is sealed left clear", [](SealFacts& f) { f.available.push_back("extra.bin.crc"); },
        "POL-SEGMENTS"},
       {"statistics left clear", [](SealFacts& f) { f.available.push_back("opstatsdesc.bin"); },
        "POL-SEGMENTS"},
       {"nothing to seal", [](SealFacts& f) { f.segments = {}, f.available = {"networkdesc.bin"}; },
        "POL-SEGMENTS"},
       {"one encryption too many", [](SealFacts& f) { f.encryptions_wanted = 901; }, "POL-ENCRYPTIONS"},
       {"encryptions that wrap", [](SealFacts& f) { f.encryptions_wanted = kMost; }, "POL-ENCRYPTIONS"},
       {"no encryption", [](SealFacts& f) { f.encryptions_wanted = 0; }, "POL-ENCRYPTIONS"},
       {"another key", [](SealFacts& f) { f.mek.label = "bert#1"; }, "POL-MEK"}});
}

// Only where the policy demands it; else encrypt-model says that a host cannot read it.
TEST(Seal, WhatAHostCannotReadIsRefusedWhereThePolicySaysSo) {
  SealFacts facts = sample_seal_facts();
  facts.whole = {{"network.elf", "it is no ELF file"}};
  Policy policy = sample_policy();
  EXPECT_TRUE(evaluate(policy, facts).allowed());
  policy.meks[0].elf.value = ElfRule::Whole;
  EXPECT_TRUE(evaluate(policy, facts).allowed());
  policy.meks[0].elf.value = ElfRule::HostReadable;
  const Findings findings = evaluate(policy, facts).findings();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].id, "POL-ELF");
  EXPECT_EQ(findings[0].claim, "network.elf");
  EXPECT_EQ(findings[0].observed, "it is no ELF file");
  facts.whole.clear();
  EXPECT_TRUE(evaluate(policy, facts).allowed());
}

TEST(Seal, SegmentsInTheContainersOrder) {
  const Policy policy = sample_policy();
  EXPECT_THAT(segments_to_seal(policy, "resnet50#1", sample_seal_facts().available),
              ElementsAre("constants.bin", "network.elf", "extra.bin"));
  EXPECT_THAT(segments_to_seal(policy, "resnet50#1", {"metadata.crc", ".crc", "networkdesc.bin.crc", "crc"}),
              IsEmpty());
  EXPECT_THAT(
      segments_to_seal(policy, "resnet50#1",
                       {"network.elf.crc", "opstatsdesc.bin", "a", "extra.bin.crc", "extra.bin.crc.crc"}),
      ElementsAre("network.elf.crc", "opstatsdesc.bin", "extra.bin.crc"));
  EXPECT_ERROR(Denied, "bert", segments_to_seal(policy, "bert#1", {"network.elf"}));
}

TEST(Challenge, LifetimeIsTheShortestAndKeysAreWhatCanBeServed) {
  Policy policy = sample_policy();
  EXPECT_EQ(challenge_lifetime(policy, "resnet50#1"), 86400);
  EXPECT_THAT(session_key_types(policy, "resnet50#1"), ElementsAre("p256", "p384"));
  policy.devices.push_back(policy.devices[0]);
  policy.devices[1].name = "second";
  policy.devices[1].challenge_lifetime.value = 60;
  policy.devices[1].session_keys.value = {"rsa"};
  policy.meks[0].devices.value = {"ai100", "second"};
  policy.meks[0].suites.value = {4, 2};
  EXPECT_EQ(challenge_lifetime(policy, "resnet50#1"), 60);
  EXPECT_THAT(session_key_types(policy, "resnet50#1"), ElementsAre("p256", "rsa"));
  EXPECT_ERROR(Denied, "bert", challenge_lifetime(policy, "bert#1"));
  EXPECT_ERROR(Denied, "bert", session_key_types(policy, "bert#1"));
}

}  // namespace
}  // namespace qpcseal::policy
