// SPDX-License-Identifier: Apache-2.0
// A policy comes into force where it was meant to, and nowhere else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/approval/officers.h"
#include "appliance/site/pinned_files.h"
#include "attest/scheme.h"
#include "tests/base/expect_error.h"
#include "tests/policy/sample.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::sample_policy;
using ::testing::HasSubstr;

const UnixTime kThen = parse_time("2026-11-24T12:00:00Z");

// What comes of the policy there: "" where it comes into force, else the findings' ids.
std::string ids_at(const std::string& named, const site::PolicyPlace& place) {
  policy::Policy policy = sample_policy();
  policy.appliance.value = named;
  try {
    site::check_policy(policy, place, kThen);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied) << error.what();
    EXPECT_THAT(std::string(error.what()), HasSubstr("policy.toml:2"));
    return finding_ids(error.findings());
  }
}

TEST(PolicyPlace, TakesThePolicyThatNamesIt) {
  for (const bool demo : {false, true})
    for (const bool first : {false, true})
      EXPECT_EQ(ids_at("plant-1", {"plant-1", nullptr, demo, first}), "") << demo << first;
}

TEST(PolicyPlace, RefusesThePolicyOfAnother) {
  for (const bool demo : {false, true})
    for (const bool first : {false, true})
      for (const char* named : {"plant-2", "plant-", "plant-10", "Plant-1", "Any"})
        EXPECT_EQ(ids_at(named, {"plant-1", nullptr, demo, first}), "POL-APPLIANCE") << named;
}

// The genesis, which every officer signs, names the appliance and the first policy.
TEST(PolicyPlace, TakesAPolicyForAnyApplianceFirstAndInDemonstrations) {
  EXPECT_EQ(ids_at("any", {"plant-1", nullptr, false, true}), "");
  EXPECT_EQ(ids_at("any", {"plant-1", nullptr, true, false}), "");
  EXPECT_EQ(ids_at("any", {"plant-1", nullptr, false, false}), "POL-APPLIANCE");
}

TEST(PolicyPlace, RefusesAnExpiredPolicy) {
  const policy::Policy policy = sample_policy();
  EXPECT_NO_THROW(site::check_policy(policy, {"plant-1", nullptr, false, false}, policy.expires.value - 1));
  EXPECT_ERROR(Denied, "the policy expired",
               site::check_policy(policy, {"plant-1", nullptr, false, false}, policy.expires.value));
}

TEST(PolicyPlace, RefusesAPolicyThatTooFewCouldSignFor) {
  const std::string key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + std::string(42, 'A') + "E";
  const approval::Officers one =
      approval::parse_officers("anna namespaces=\"approval@qpcseal,policy@qpcseal\" " + key + "\n");
  policy::Policy policy = sample_policy();
  EXPECT_ERROR(Usage, "'release' needs 2 officers",
               site::check_policy(policy, {"plant-1", &one, true, false}, kThen));
  policy.approvals["release"].value = 1;
  EXPECT_NO_THROW(site::check_policy(policy, {"plant-1", &one, true, false}, kThen));
  policy.approvals["officers-change"].value = 0;  // somebody signs it, and nobody may
  EXPECT_ERROR(Usage, "'officers-change' needs 1 officers",
               site::check_policy(policy, {"plant-1", &one, true, false}, kThen));
}

TEST(PolicyPlace, RefusesAWeakChangeButInDemonstrations) {
  policy::Policy policy = sample_policy();
  policy.approvals["policy-change"].value = 1;
  EXPECT_ERROR(Denied, "needs 1 officers",
               site::check_policy(policy, {"plant-1", nullptr, false, false}, kThen));
  EXPECT_NO_THROW(site::check_policy(policy, {"plant-1", nullptr, true, false}, kThen));
}

TEST(PolicyPlace, RefusesAnExposureThatNobodyAgreesToButInDemonstrations) {
  policy::Policy policy = sample_policy();
  for (auto& [operation, count] : policy.approvals) count.value = 0;
  policy.approvals["mek-expose"].value = 0;
  EXPECT_ERROR(Denied, "'mek-expose' needs 0 officers",
               site::check_policy(policy, {"plant-1", nullptr, false, false}, kThen));
  EXPECT_NO_THROW(site::check_policy(policy, {"plant-1", nullptr, true, false}, kThen));
}

TEST(Schemes, OfPoliciesAreThoseOfThisProgram) {
  std::vector<std::string> known;
  for (const auto& scheme : attest::all_schemes()) known.emplace_back(scheme->id());
  EXPECT_THAT(known, ::testing::UnorderedElementsAreArray(policy::kSchemes));
}

}  // namespace
}  // namespace qpcseal::release
