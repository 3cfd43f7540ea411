// SPDX-License-Identifier: Apache-2.0
// Formats, and the key in the clear: allowed only where the policy says so in two places.
#include <gtest/gtest.h>

#include "policy/evaluate.h"
#include "tests/base/expect_error.h"
#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using testing::sample_facts;
using testing::sample_policy_text;
using testing::sample_seal_facts;

Policy with_formats(const std::string& formats, const std::string& approvals = "mek-expose = 2\n") {
  std::string text = sample_policy_text("suites = [1, 2]\n", "suites = [1, 2]\n" + formats);
  return parse_policy(text + approvals);
}

std::string finding_ids_of(const Decision& decision) {
  EXPECT_EQ(decision.allowed(), decision.findings().empty());
  return finding_ids(decision.findings());
}

ExposeFacts expose_facts() { return {sample_facts().now, sample_facts().mek}; }

TEST(Formats, AreOursAloneWhereNoneIsWritten) {
  const Policy policy = with_formats("");
  EXPECT_EQ(policy.meks.front().formats.value, std::vector<std::string>{"qpcseal"});
  EXPECT_EQ(finding_ids_of(evaluate(policy, sample_facts())), "");
  EXPECT_EQ(finding_ids_of(evaluate(policy, expose_facts())), "POL-FORMAT");
}

TEST(Formats, OfTheVendorAllowNoWrapOfOurs) {
  const Policy policy = with_formats("formats = [\"vendor\"]\n");
  EXPECT_EQ(finding_ids_of(evaluate(policy, sample_facts())), "POL-FORMAT");
  EXPECT_EQ(finding_ids_of(evaluate(policy, sample_seal_facts())), "POL-FORMAT");
  EXPECT_EQ(finding_ids_of(evaluate(policy, expose_facts())), "");
}

TEST(Formats, OfTheVendorNeedNoSuite) {
  const Policy policy = with_formats("formats = [\"vendor\"]\n");
  Facts facts = sample_facts();
  facts.format = "vendor";
  facts.suite = 0;
  EXPECT_EQ(finding_ids_of(evaluate(policy, facts)), "");
  facts.format = "other";
  EXPECT_EQ(finding_ids_of(evaluate(policy, facts)), "POL-FORMAT");
  EXPECT_EQ(finding_ids_of(evaluate(with_formats(""), facts)), "POL-FORMAT");
}

TEST(Formats, OfTheVendorWantAQuorumOfTheirOwn) {
  EXPECT_EQ(finding_ids_of(evaluate(with_formats("formats = [\"vendor\"]\n", ""), expose_facts())),
            "POL-EXPOSE");
  EXPECT_EQ(finding_ids_of(evaluate(with_formats("", ""), expose_facts())), "POL-FORMAT, POL-EXPOSE");
}

TEST(Formats, AreHeldToKeyAndTime) {
  const Policy policy = with_formats("formats = [\"vendor\"]\n");
  ExposeFacts facts = expose_facts();
  facts.mek.label = "other#1";
  EXPECT_EQ(finding_ids_of(evaluate(policy, facts)), "POL-MEK");
  facts = expose_facts();
  facts.now = policy.expires.value;
  EXPECT_EQ(finding_ids_of(evaluate(policy, facts)), "POL-EXPIRED");
}

TEST(Formats, OfOtherNamesAreRefused) {
  for (const char* formats : {"formats = []\n", "formats = [\"vendors\"]\n", "formats = \"vendor\"\n"})
    EXPECT_THROW(with_formats(formats), Error) << formats;
}

TEST(Formats, OfTheVendorAreWarnedOf) {
  std::string all;
  for (const Warning& warning : lint(with_formats("formats = [\"qpcseal\", \"vendor\"]\n")))
    all += warning.text + "\n";
  EXPECT_NE(all.find("in the clear"), std::string::npos);
  EXPECT_NE(all.find("one key in two formats"), std::string::npos);
}

TEST(Schemes, OfAVerifierHaveItsName) {
  EXPECT_THROW(parse_policy(sample_policy_text("scheme = \"eat-card\"", "scheme = \"external:\"")), Error);
  EXPECT_EQ(parse_policy(sample_policy_text("scheme = \"eat-card\"", "scheme = \"external:sdk\""))
                .devices.front()
                .scheme.value,
            "external:sdk");
}

}  // namespace
}  // namespace qpcseal::policy
