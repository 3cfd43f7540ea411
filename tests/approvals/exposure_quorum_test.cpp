// SPDX-License-Identifier: Apache-2.0
// How many officers a key in the clear needs.
#include <gtest/gtest.h>

#include "policy/officers_needed.h"

namespace qpcseal::release {
namespace {

std::optional<int> needed(const std::map<std::string, int>& approvals) {
  policy::Policy policy;
  for (const auto& [operation, count] : approvals) policy.approvals[operation] = {count, 0};
  return policy::officers_needed(policy, "mek-expose");
}

TEST(ExposureQuorum, IsNotThereWhereThePolicyNamesNone) {
  EXPECT_EQ(needed({{"seal", 1}, {"release", 2}}), std::nullopt);
}

TEST(ExposureQuorum, IsNoSmallerThanThatOfSealAndRelease) {
  EXPECT_EQ(needed({{"mek-expose", 1}}), 1);
  EXPECT_EQ(needed({{"mek-expose", 0}, {"seal", 1}, {"release", 2}}), 2);
  EXPECT_EQ(needed({{"mek-expose", 0}, {"seal", 3}, {"release", 2}}), 3);
  EXPECT_EQ(needed({{"mek-expose", 4}, {"seal", 3}, {"release", 2}}), 4);
}

}  // namespace
}  // namespace qpcseal::release
