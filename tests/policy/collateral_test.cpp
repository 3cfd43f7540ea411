// SPDX-License-Identifier: Apache-2.0
#include "policy/collateral_rules.h"

#include <gtest/gtest.h>

#include "policy/evaluate.h"
#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using qpcseal::testing::sample_facts;
using qpcseal::testing::sample_policy;
using qpcseal::testing::sample_policy_text;

std::vector<std::string> ids(const Decision& decision) {
  std::vector<std::string> out;
  for (const Finding& finding : decision.findings()) out.push_back(finding.id);
  return out;
}

Facts fresh_facts() {
  Facts facts = sample_facts();
  facts.collateral.present = true;
  facts.collateral.serial = 3;
  facts.collateral.not_before = facts.now - 10;
  facts.collateral.not_after = facts.now + 10;
  return facts;
}

using Ids = std::vector<std::string>;

TEST(CollateralRules, RequiredMeansThere) {
  const Policy policy =
      parse_policy(sample_policy_text("collateral = \"none\"", "collateral = \"required\""));
  EXPECT_EQ(ids(evaluate(policy, sample_facts())), Ids{"POL-COLLATERAL"});
  EXPECT_TRUE(evaluate(policy, fresh_facts()).allowed());
  EXPECT_TRUE(evaluate(sample_policy(), sample_facts()).allowed());
}

TEST(CollateralRules, StaleIsRefusedToTheSecondWhateverThePolicySays) {
  Facts facts = fresh_facts();
  facts.collateral.not_before = facts.now;
  facts.collateral.not_after = facts.now + 1;
  EXPECT_TRUE(evaluate(sample_policy(), facts).allowed());
  facts.collateral.not_after = facts.now;
  EXPECT_EQ(ids(evaluate(sample_policy(), facts)), Ids{"POL-COLLATERAL-STALE"});
  facts = fresh_facts();
  facts.collateral.not_before = facts.now + 1;
  EXPECT_EQ(ids(evaluate(sample_policy(), facts)), Ids{"POL-COLLATERAL-STALE"});
}

TEST(CollateralRules, ARevokedCardIsRefused) {
  Facts facts = fresh_facts();
  facts.collateral.revoked_ueids = {facts.card.ueid};
  EXPECT_EQ(ids(evaluate(sample_policy(), facts)), Ids{"POL-COLLATERAL-REVOKED"});
}

TEST(CollateralRules, AReferenceAllowsWhatTheBundleSaysAndNothingElse) {
  const std::string digest(64, '2');
  const Policy policy =
      parse_policy(sample_policy_text("digests = [\"" + digest + "\"]", "references = [\"boot\"]"));
  Facts facts = fresh_facts();
  EXPECT_EQ(ids(evaluate(policy, facts)), Ids{"POL-MEASUREMENT-DIGEST"});
  facts.collateral.references["other"] = {from_hex(digest)};
  EXPECT_EQ(ids(evaluate(policy, facts)), Ids{"POL-MEASUREMENT-DIGEST"});
  facts.collateral.references["boot"] = {Bytes(32, 9), from_hex(digest)};
  EXPECT_TRUE(evaluate(policy, facts).allowed());
}

TEST(CollateralRules, DigestsOrReferencesButNotBoth) {
  const std::string line = "digests = [\"" + std::string(64, '2') + "\"]";
  EXPECT_ANY_THROW(parse_policy(sample_policy_text(line, line + "\nreferences = [\"boot\"]")));
  EXPECT_ANY_THROW(parse_policy(sample_policy_text(line, "")));
}

}  // namespace
}  // namespace qpcseal::policy
