// SPDX-License-Identifier: Apache-2.0
#include "policy/appraisal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/evaluate.h"
#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using testing::sample_facts;
using testing::sample_policy;
using testing::sample_seal_facts;

TrustVector of(std::initializer_list<const char*> ids, bool appraised = true) {
  Findings findings;
  for (const char* id : ids) findings.push_back({id, "", "", "", ""});
  return appraise(findings, appraised);
}

constexpr TrustVector kAll{2, 2, 2, 2};

TEST(Appraisal, AffirmsOnlyWhatWasAppraisedAndFoundGood) {
  EXPECT_EQ(of({}), kAll);
  EXPECT_TRUE(of({}).affirming());
  EXPECT_EQ(of({}, false), (TrustVector{0, 0, 0, 0}));
  EXPECT_FALSE(TrustVector{}.affirming());
}

TEST(Appraisal, AffirmsWhereAllFourClaimsDo) {
  int TrustVector::* const claims[] = {&TrustVector::instance_identity, &TrustVector::configuration,
                                       &TrustVector::executables, &TrustVector::hardware};
  for (const auto claim : claims) {
    for (const int value : {-1, 0, 1, 3, 32, 96, 99}) {
      TrustVector vector = kAll;
      vector.*claim = value;
      EXPECT_FALSE(vector.affirming()) << value;
    }
  }
}

TEST(Appraisal, EachFindingBearsOnItsClaim) {
  const std::pair<const char*, TrustVector> rows[] = {{"ATT-SIGNATURE", {99, 99, 99, 99}},
                                                      {"ATT-CHAIN-ROOT", {99, 99, 99, 99}},
                                                      {"ATT-LEAF-UEID", {99, 99, 99, 99}},
                                                      {"ATT-REVOKED", {96, 0, 0, 0}},
                                                      {"ATT-CRL-STALE", {0, 0, 0, 0}},
                                                      {"ATT-EXPIRED", {0, 0, 0, 0}},
                                                      {"ATT-UEID", {1, 1, 1, 1}},
                                                      {"ATT-COSE", {1, 1, 1, 1}},
                                                      {"POL-SCHEME", {2, 2, 2, 97}},
                                                      {"POL-ROOT", {97, 2, 2, 2}},
                                                      {"POL-UEID", {97, 2, 2, 2}},
                                                      {"POL-REVOKED", {96, 2, 2, 2}},
                                                      {"POL-CRL", {0, 2, 2, 2}},
                                                      {"POL-OEMID", {2, 2, 2, 97}},
                                                      {"POL-HWMODEL", {2, 2, 2, 97}},
                                                      {"POL-HWVERSION", {2, 2, 2, 97}},
                                                      {"POL-OEMBOOT", {2, 2, 33, 2}},
                                                      {"POL-DBGSTAT", {2, 96, 2, 2}},
                                                      {"POL-SUBMOD-DBGSTAT", {2, 96, 2, 2}},
                                                      {"POL-LIFECYCLE", {2, 96, 2, 2}},
                                                      {"POL-SUBMOD-MISSING", {2, 36, 2, 2}},
                                                      {"POL-SUBMOD-EXTRA", {2, 2, 33, 2}},
                                                      {"POL-MEASUREMENT-MISSING", {2, 2, 0, 2}},
                                                      {"POL-MEASUREMENT-EXTRA", {2, 2, 33, 2}},
                                                      {"POL-MEASUREMENT-DIGEST", {2, 2, 33, 2}},
                                                      {"POL-SVN", {2, 2, 32, 2}},
                                                      {"POL-SVN-FLOOR", {2, 2, 32, 2}},
                                                      {"POL-CHALLENGE-USED", {0, 0, 0, 0}},
                                                      {"POL-AUD", {0, 0, 0, 0}},
                                                      {"POL-EXPIRED", {0, 0, 0, 0}},
                                                      {"POL-MEK", {0, 0, 0, 0}},
                                                      {"POL-SOMETHING-NEW", {0, 0, 0, 0}},
                                                      {"POL-OEMIC", {0, 0, 0, 0}},
                                                      {"POL-OEMID-NEW", {0, 0, 0, 0}},
                                                      {"", {0, 0, 0, 0}},
                                                      {"POL-RELEASES", kAll},
                                                      {"POL-CARD-RELEASES", kAll},
                                                      {"POL-SUITE", kAll},
                                                      {"POL-SUITE-KEY", kAll},
                                                      {"POL-SESSION-KEY", kAll}};
  for (const auto& [id, expected] : rows) EXPECT_EQ(of({id}), expected) << id;
}

TEST(Appraisal, TheWorstWins) {
  EXPECT_EQ(of({"POL-SVN", "POL-MEASUREMENT-DIGEST"}).executables, 33);
  EXPECT_EQ(of({"POL-MEASUREMENT-DIGEST", "POL-SVN"}).executables, 33);
  EXPECT_EQ(of({"POL-REVOKED", "POL-UEID"}).instance_identity, 97);
  EXPECT_EQ(of({"POL-CHALLENGE", "POL-DBGSTAT"}), (TrustVector{0, 96, 0, 0}));
  EXPECT_EQ(of({"ATT-SIGNATURE", "POL-REVOKED"}), (TrustVector{99, 99, 99, 99}));
}

TEST(Appraisal, HasTheNamesAndTiersOfTheDraft) {
  const auto claims = of({"POL-SVN"}).claims();
  ASSERT_EQ(claims.size(), 4U);
  EXPECT_EQ(claims[0].first, "instance-identity");
  EXPECT_EQ(claims[1].first, "configuration");
  EXPECT_EQ(claims[2], (std::pair<std::string, int>{"executables", 32}));
  EXPECT_EQ(claims[3].first, "hardware");
  EXPECT_EQ(tier_name(2), "affirming");
  EXPECT_EQ(tier_name(0), "none");
  EXPECT_EQ(tier_name(1), "none");
  EXPECT_EQ(tier_name(31), "affirming");
  EXPECT_EQ(tier_name(32), "warning");
  EXPECT_EQ(tier_name(95), "warning");
  EXPECT_EQ(tier_name(96), "contraindicated");
  EXPECT_EQ(tier_name(99), "contraindicated");
}

TEST(Appraisal, StandsInTheDecision) {
  EXPECT_EQ(evaluate(sample_policy(), sample_facts()).trust(), kAll);
  Facts facts = sample_facts();
  facts.card.dbgstat = 0;
  EXPECT_EQ(evaluate(sample_policy(), facts).trust(), (TrustVector{2, 96, 2, 2}));
  facts = sample_facts();
  facts.mek.releases = 10;  // nothing against the card
  EXPECT_EQ(evaluate(sample_policy(), facts).trust(), kAll);
  facts.mek.label = "bert#1";
  EXPECT_EQ(evaluate(sample_policy(), facts).trust(), TrustVector{});
  EXPECT_EQ(evaluate(sample_policy(), Facts{}).trust().affirming(), false);
  EXPECT_EQ(evaluate(sample_policy(), sample_seal_facts()).trust(), TrustVector{});
}

}  // namespace
}  // namespace qpcseal::policy
