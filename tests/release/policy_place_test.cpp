// A policy comes into force where it was meant to, and nowhere else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/site/pinned_files.h"
#include "tests/base/expect_error.h"
#include "tests/policy/sample.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::sample_policy;
using ::testing::HasSubstr;

const UnixTime kThen = parse_time("2026-11-24T12:00:00Z");

// What comes of the policy there: "" where it comes into force, else the findings' ids.
std::string ids_at(const std::string& named, const PolicyPlace& place) {
  policy::Policy policy = sample_policy();
  policy.appliance.value = named;
  try {
    check_policy(policy, place, kThen);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied) << error.what();
    EXPECT_THAT(std::string(error.what()), HasSubstr("policy.toml:2"));
    return ids_of(error.findings());
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

}  // namespace
}  // namespace qpcseal::release
