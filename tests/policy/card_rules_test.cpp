// SPDX-License-Identifier: Apache-2.0
// The parts of the card's rules by themselves: which minimums a release writes down, and what holds for every
// card. evaluate_test.cpp has the rules of a class, one by one.
#include "policy/card_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/finding_ids.h"
#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::ids;
using ::testing::IsEmpty;
using testing::sample_facts;
using testing::sample_policy;

class CardRules : public ::testing::Test {
 protected:
  Policy policy = sample_policy();
  DeviceClass& device = policy.devices[0];
  Facts facts = sample_facts();
  Bytes model = *facts.card.hwmodel;

  [[nodiscard]] std::vector<SvnFloor> minimums() const { return svn_minimums(device, facts); }
  [[nodiscard]] SvnFloor floor(const std::string& name, std::uint64_t svn) const {
    return {"eat-card", model, name, svn};
  }
};

TEST_F(CardRules, DemandNoMinimumOfZero) {
  EXPECT_THAT(minimums(), ElementsAre(floor("boot", 5))) << "nsp/firmware has min_svn 0";
  device.measurements[0].min_svn = 0;
  facts.svn_floors.clear();
  EXPECT_THAT(minimums(), IsEmpty());
}

TEST_F(CardRules, DemandMinimumsOfSubmodulesUnderTheirNames) {
  device.submods.value[0].measurements[0].min_svn = 1;
  facts.svn_floors = {floor("firmware", 9), floor("nsp/firmware", 4), floor("nsp/firmware", 3)};
  EXPECT_THAT(minimums(), ElementsAre(floor("boot", 5), floor("nsp/firmware", 4)))
      << "a measurement of the card itself is another";
}

TEST_F(CardRules, DemandTheLogsFloorWhereThePolicyHasNone) {
  device.measurements[0].min_svn = 0;
  facts.svn_floors = {floor("boot", 7), floor("gone", 8)};
  EXPECT_THAT(minimums(), ElementsAre(floor("boot", 7))) << "only what the class measures";
}

TEST_F(CardRules, KeepMinimumsOfASchemeWithoutModelsApart) {
  facts.card.hwmodel.reset();
  facts.svn_floors = {floor("boot", 9), {"eat-card", {}, "boot", 6}};
  EXPECT_THAT(minimums(), ElementsAre(SvnFloor{"eat-card", {}, "boot", 6}));
}

TEST_F(CardRules, LookAtTheSvnFloorOfASubmodulesOwnMeasurement) {
  facts.card.submods[0].measurements[0].svn = 3;
  facts.svn_floors = {floor("firmware", 9), floor("nsp/firmware", 3)};
  EXPECT_THAT(check_card(policy, device, facts), IsEmpty());
  facts.svn_floors[1].svn = 4;
  const Findings findings = check_card(policy, device, facts);
  ASSERT_THAT(ids(findings), ElementsAre("POL-SVN-FLOOR"));
  EXPECT_EQ(findings[0].claim, "SVN of nsp/firmware");
  EXPECT_EQ(findings[0].rule, "the log");
}

TEST_F(CardRules, FindNothingInACardOfTheClass) {
  EXPECT_THAT(check_card(policy, device, facts), IsEmpty());
  EXPECT_THAT(check_challenge(policy, facts), IsEmpty());
  EXPECT_THAT(check_revoked_card(policy, facts.card), IsEmpty());
}

TEST_F(CardRules, LeaveAnUnknownChallengesAgeToTheOneFindingThatSaysSo) {
  facts.challenge = {};
  EXPECT_THAT(check_card(policy, device, facts), IsEmpty());
  const Findings findings = check_challenge(policy, facts);
  ASSERT_THAT(ids(findings), ElementsAre("POL-CHALLENGE")) << "nothing else has a meaning";
  EXPECT_EQ(findings[0].observed, to_hex(facts.card.nonce));
  EXPECT_EQ(findings[0].rule, "always");
}

TEST_F(CardRules, FindAllThatIsWrongWithAChallenge) {
  facts.challenge.nonce[0] ^= 1;
  facts.challenge.aud[0] ^= 1;
  facts.challenge.consumed = true;
  facts.challenge.expiry = facts.now;
  facts.challenge.mek_id[0] ^= 1;
  (*facts.challenge.ueid)[0] ^= 1;
  const Findings findings = check_challenge(policy, facts);
  EXPECT_THAT(ids(findings), ElementsAre("POL-CHALLENGE-NONCE", "POL-AUD", "POL-CHALLENGE-USED",
                                         "POL-CHALLENGE-EXPIRED", "POL-CHALLENGE-MEK", "POL-CHALLENGE-UEID"));
  EXPECT_THAT(findings, Each(::testing::Field(&Finding::rule, "always")));
  EXPECT_EQ(findings[3].observed, "expired " + format_time(facts.now));
}

TEST_F(CardRules, NameEachClassThatRevokesTheCard) {
  device.revoked_ueids = {{facts.card.ueid}, 18};
  policy.devices.push_back(device);
  policy.devices[1].revoked_ueids.line = 99;
  const Findings findings = check_revoked_card(policy, facts.card);
  ASSERT_THAT(ids(findings), ElementsAre("POL-REVOKED", "POL-REVOKED"));
  EXPECT_EQ(findings[0].rule, "policy.toml:18");
  EXPECT_EQ(findings[1].rule, "policy.toml:99");
  EXPECT_EQ(findings[0].observed, to_hex(facts.card.ueid));
}

// A card may have a measurement of one name in itself and in a submodule: each has its own rule.
TEST_F(CardRules, KeepSubmodulesApartFromTheCard) {
  std::swap(facts.card.measurements[0], facts.card.submods[0].measurements[0]);
  const Findings findings = check_card(policy, device, facts);
  EXPECT_THAT(ids(findings), ElementsAre("POL-MEASUREMENT-MISSING", "POL-MEASUREMENT-EXTRA",
                                         "POL-MEASUREMENT-MISSING", "POL-MEASUREMENT-EXTRA"));
  EXPECT_EQ(findings[0].claim, "boot");
  EXPECT_EQ(findings[1].claim, "firmware");
  EXPECT_EQ(findings[2].claim, "nsp/firmware");
  EXPECT_EQ(findings[3].claim, "nsp/boot");
}

}  // namespace
}  // namespace qpcseal::policy
