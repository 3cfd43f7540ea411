// SPDX-License-Identifier: Apache-2.0
// What officers read: the policy in words, and what is odd about it. And the patterns of labels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "policy/glob.h"
#include "policy/policy.h"
#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using ::testing::HasSubstr;
using testing::sample_policy;
using testing::sample_policy_text;

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(matches_glob("", ""));
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("a*c", "abbc"));
  EXPECT_TRUE(matches_glob("a*b*c", "axbxbxc"));
  EXPECT_TRUE(matches_glob("a?c", "abc"));
  EXPECT_TRUE(matches_glob("**", "x"));
  EXPECT_FALSE(matches_glob("", "a"));
  EXPECT_FALSE(matches_glob("a?c", "ac"));
  EXPECT_FALSE(matches_glob("a*c", "abcd"));
  EXPECT_FALSE(matches_glob("abc", "ABC"));
  EXPECT_FALSE(matches_glob("[ab]", "a"));
  EXPECT_FALSE(matches_glob("a*a*a*a*a*a*a*a*a*a*b", std::string(20000, 'a')));  // and soon
}

TEST(Glob, LabelsByNameOrWhole) {
  EXPECT_TRUE(matches_label("resnet*", "resnet50#3"));
  EXPECT_TRUE(matches_label("resnet50#3", "resnet50#3"));
  EXPECT_TRUE(matches_label("resnet50#*", "resnet50#3"));
  EXPECT_FALSE(matches_label("resnet50#1", "resnet50#3"));
  EXPECT_FALSE(matches_label("*3", "resnet50#3")) << "without '#' a pattern sees the name alone";
}

TEST(Show, SaysEveryRule) {
  const std::string text = show(sample_policy());
  for (const char* part : {"number 7",
                           "2027-01-01T00:00:00Z",
                           "'ai100'",
                           "eat-card",
                           "1111111111",
                           "4660",
                           "a1cd",
                           "2.0",
                           "debug disabled since boot (2)",
                           "secured",
                           "p256, p384",
                           "1 days",
                           "01aabbccddeeff",
                           "01aabbccddee00",
                           "are required",
                           "boot, SVN 5",
                           "2222222222",
                           "'nsp'",
                           "firmware",
                           "3333333333",
                           "resnet*",
                           "at most 10",
                           "suite: 1, 2",
                           "extra.bin",
                           "mode: token",
                           "1000 times",
                           "seal: 1",
                           "release: 2",
                           "mek-generate: 0",
                           "anything else: not allowed"})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(Show, DoesNotHideWhatIsLoose) {
  Policy policy = sample_policy();
  policy.devices[0].ueids.value.reset();
  policy.devices[0].crl_required.value = false;
  policy.devices[0].submods.value.clear();
  EXPECT_THAT(show(policy), HasSubstr("UEID is ANY"));
  EXPECT_THAT(show(policy), HasSubstr("NOT required"));
  EXPECT_THAT(show(policy), HasSubstr("no submodules"));
  EXPECT_THAT(show(sample_policy()), ::testing::Not(HasSubstr("no submodules")));
  policy.devices[0].challenge_lifetime.value = 25 * 3600;
  policy.devices[0].revoked_ueids.value.clear();
  policy.meks[0].segments.value.clear();
  EXPECT_THAT(show(policy), HasSubstr("It is for the appliance 'plant-1' alone."));
  policy.appliance.value = "any";
  EXPECT_THAT(show(policy), HasSubstr("It is for ANY appliance."));
  EXPECT_THAT(show(policy), HasSubstr("less than 25 hours old"));
  EXPECT_THAT(show(policy), HasSubstr("revoked UEIDs: none"));
  EXPECT_THAT(show(policy),
              HasSubstr("seal network.elf, constants.bin, opstatsdesc.bin (and NAME.crc of each) in mode"));
  policy.devices[0].challenge_lifetime.value = 90 * 60;
  EXPECT_THAT(show(policy), HasSubstr("less than 90 minutes old"));
}

bool warns(const Policy& policy, const std::string& part) {
  const std::vector<Warning> warnings = lint(policy);
  return std::any_of(warnings.begin(), warnings.end(),
                     [&](const Warning& warning) { return warning.text.find(part) != std::string::npos; });
}

TEST(Lint, GoesByLine) {
  Policy policy = sample_policy();
  policy.devices[0].crl_required = {false, 30};
  policy.meks[0].max_releases = {0, 9};
  policy.devices[0].min_dbgstat.value = 1;
  policy.devices[0].min_dbgstat.line = 100;
  std::vector<std::string> rules;
  for (const Warning& warning : lint(policy)) rules.push_back(warning.rule);
  const std::vector<std::string> ours{policy.at(9), policy.at(30), policy.at(100)};
  std::erase_if(rules, [&](const std::string& rule) { return std::ranges::find(ours, rule) == ours.end(); });
  EXPECT_EQ(rules, ours);
}

TEST(Lint, EachWarningAppearsWhenItShould) {
  const std::pair<const char*, void (*)(Policy&)> changes[] = {
      {"names no appliance", [](Policy& p) { p.appliance.value = "any"; }},
      {"any card of class", [](Policy& p) { p.devices[0].ueids.value.reset(); }},
      {"can be debugged", [](Policy& p) { p.devices[0].min_dbgstat.value = 1; }},
      {"needs no certificate revocation", [](Policy& p) { p.devices[0].crl_required.value = false; }},
      {"more than a week", [](Policy& p) { p.devices[0].challenge_lifetime.value = 8 * 86400; }},
      {"lifecycle 'test'", [](Policy& p) { p.devices[0].lifecycle.value->emplace_back("test"); }},
      {"known by its roots alone", [](Policy& p) { p.devices[0].oemid.value.reset(); }},
      {"known by its roots alone", [](Policy& p) { p.devices[0].hwmodel.value.reset(); }},
      {"only the maker's code", [](Policy& p) { p.devices[0].oemboot.value = false; }},
      {"does not say its lifecycle", [](Policy& p) { p.devices[0].lifecycle.value.reset(); }},
      {"can get no key", [](Policy& p) { p.devices[0].max_releases.value = 0; }},
      {"to a card is hardly a limit", [](Policy& p) { p.devices[0].max_releases.value = 100001; }},
      {"no [[mek]] names", [](Policy& p) { p.meks[0].devices.value = {"x"}; }},
      {"'boot' may be of any", [](Policy& p) { p.devices[0].measurements[0].min_svn = 0; }},
      {"suite 4", [](Policy& p) { p.meks[0].suites.value.push_back(4); }},
      {"envelope mode", [](Policy& p) { p.meks[0].modes.value.emplace_back("envelope"); }},
      {"never be released", [](Policy& p) { p.meks[0].max_releases.value = 0; }},
      {"hardly a limit", [](Policy& p) { p.meks[0].max_releases.value = 100001; }},
      {"seal nothing", [](Policy& p) { p.meks[0].max_encryptions.value = 0; }},
      {"matches every key", [](Policy& p) { p.meks[0].labels.value = {"*"}; }},
      {"'release' needs no officer", [](Policy& p) { p.approvals["release"].value = 0; }},
      {"'release' needs one officer alone", [](Policy& p) { p.approvals["release"].value = 1; }},
  };
  for (const auto& [part, change] : changes) {
    Policy policy = sample_policy();
    EXPECT_FALSE(warns(policy, part)) << part;
    change(policy);
    EXPECT_TRUE(warns(policy, part)) << part;
  }
  EXPECT_TRUE(warns(sample_policy(), "01aabbccddee00 is both listed and revoked"));
  EXPECT_TRUE(warns(sample_policy(), "'firmware' may be of any"));  // of a submodule
}

TEST(Lint, TheLimitsThemselvesAreFine) {
  Policy policy = sample_policy();
  policy.devices[0].challenge_lifetime.value = 7 * 86400;
  policy.devices[0].max_releases.value = 100000;
  policy.meks[0].max_releases.value = 100000;
  policy.devices[0].revoked_ueids.value = {Bytes(7, 1)};
  for (const char* part : {"more than a week", "hardly a limit", "listed and revoked"})
    EXPECT_FALSE(warns(policy, part)) << part;
}

TEST(Lint, AnyCardWithoutARuleThatCouldRevokeOne) {
  const char* says = "no rule that could revoke one";
  Policy policy = sample_policy();
  policy.devices[0].ueids.value.reset();
  policy.devices[0].revoked_ueids.value.clear();
  policy.devices[0].crl_required.value = false;
  EXPECT_TRUE(warns(policy, says));
  for (void (*const mend)(Policy&) : {+[](Policy& p) { p.devices[0].ueids.value = {Bytes(7, 1)}; },
                                      +[](Policy& p) { p.devices[0].revoked_ueids.value = {Bytes(7, 1)}; },
                                      +[](Policy& p) { p.devices[0].crl_required.value = true; },
                                      +[](Policy& p) { p.collateral_required.value = true; }}) {
    Policy mended = policy;
    mend(mended);
    EXPECT_FALSE(warns(mended, says));
  }
}

TEST(Lint, WhoStopsAKeyAndWhoLetsItGoOn) {
  const auto with = [](int suspend, int resume) {
    Policy policy = sample_policy();
    policy.approvals["mek-suspend"].value = suspend;
    policy.approvals["mek-resume"].value = resume;
    return policy;
  };
  const char* overruled = "what one officer stopped, one could let go on";
  EXPECT_FALSE(warns(with(1, 2), "'mek-suspend'"));
  EXPECT_FALSE(warns(with(1, 2), overruled));
  EXPECT_TRUE(warns(with(1, 1), overruled));
  EXPECT_FALSE(warns(with(1, 1), "'mek-resume' needs one officer alone")) << "said once";
  EXPECT_TRUE(warns(with(1, 0), overruled));
  EXPECT_TRUE(warns(with(0, 2), "'mek-suspend' needs no officer"));
}

TEST(Lint, WarnsOfWeakOperationsThatDecideWhatCounts) {
  const auto with = [](const char* operation, int count) {
    Policy policy = sample_policy();  // release = 2 is its greatest
    policy.approvals[operation].value = count;
    return policy;
  };
  const char* weak = "for demonstrations only";
  EXPECT_TRUE(warns(sample_policy(), "lacks 'officers-change'"));
  EXPECT_FALSE(warns(with("officers-change", 2), "lacks 'officers-change'"));
  EXPECT_TRUE(warns(with("officers-change", 0), weak));
  EXPECT_TRUE(warns(with("officers-change", 1), weak));
  EXPECT_FALSE(warns(with("officers-change", 2), weak));
  for (const char* operation : {"policy-change", "site-change", "clock-correct", "anchor-accept"}) {
    EXPECT_TRUE(warns(with(operation, 1), weak)) << operation;
    EXPECT_FALSE(warns(with(operation, 2), weak)) << operation;
  }
  Policy none = with("officers-change", 0);
  for (auto& [operation, count] : none.approvals) count.value = 0;
  none.approvals["policy-change"].value = 0;
  EXPECT_EQ(none.greatest_threshold(), 1);
  EXPECT_FALSE(none.is_weak("policy-change")) << "somebody signs it";
  EXPECT_FALSE(none.is_weak("seal"));
  EXPECT_TRUE(warns(none, weak));
  none.approvals["mek-expose"].value = 0;
  EXPECT_TRUE(none.is_weak("mek-expose")) << "a key in the clear";
  none.approvals["seal"].value = 1;
  EXPECT_FALSE(none.is_weak("mek-expose")) << "an exposure needs as many";
}

TEST(Lint, WarnsOfWeakTrustImportWhereThePolicyHasReferences) {
  Policy policy = sample_policy();
  policy.approvals["trust-import"].value = 1;
  const char* weak = "'trust-import' needs 2 officers";
  EXPECT_FALSE(warns(policy, weak));
  Policy in_card = policy, in_submodule = policy;
  in_card.devices.front().measurements.push_back({"fw", {}, {"fw"}, 0, 0});
  EXPECT_TRUE(warns(in_card, weak));
  in_submodule.devices.front().submods.value.push_back({"soc", {{"fw", {}, {"fw"}, 0, 0}}, 0});
  EXPECT_TRUE(warns(in_submodule, weak));
}

TEST(Show, AnExposureNeedsAsManyOfficersAsSealAndRelease) {
  const Policy policy = parse_policy(sample_policy_text("seal = 1", "seal = 3\nmek-expose = 0"));
  EXPECT_THAT(show(policy), HasSubstr("mek-expose: 3\n"));
}

TEST(Lint, APolicyThatCouldNeverBeReplaced) {
  EXPECT_TRUE(warns(sample_policy(), "lacks 'policy-change'"));
  EXPECT_FALSE(warns(parse_policy(sample_policy_text("seal = 1", "seal = 1\npolicy-change = 2")),
                     "lacks 'policy-change'"));
}

}  // namespace
}  // namespace qpcseal::policy
