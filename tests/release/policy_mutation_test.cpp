// SPDX-License-Identifier: Apache-2.0
// A good report, held against another policy, another challenge, another state of the log, another time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <sstream>

#include "base/error.h"
#include "tests/release/judged.h"

namespace qpcseal::testing {
namespace {

using Ids = std::set<std::string>;
using policy::DeviceClass;
using policy::MekRule;

struct Change {
  const char* what;
  std::function<void(PolicyFixture&)> make;
  Ids expected;
};

std::function<void(PolicyFixture&)> in_class(const std::function<void(DeviceClass&)>& change) {
  return [change](PolicyFixture& desk) { change(desk.policy.devices[0]); };
}
std::function<void(PolicyFixture&)> in_mek(const std::function<void(MekRule&)>& change) {
  return [change](PolicyFixture& desk) { change(desk.policy.meks[0]); };
}

void run(const std::vector<Change>& changes, const char* campaign) {
  const TestCard card;
  const PolicyFixture good = desk_for(card);
  ASSERT_TRUE(good.judge(card.report()).released);
  MutantCounter tally;
  for (const Change& change : changes) {
    PolicyFixture desk = good;
    change.make(desk);
    tally.note(desk.judge(card.report()), change.expected, change.what);
  }
  tally.print(campaign);
}

TEST(Mutation, EveryRuleOfTheClassUnsetOrChanged) {
  run({{"scheme unset", in_class([](DeviceClass& d) { d.scheme.value = "aws-nitro"; }), {"ATT-COSE"}},
       {"roots unset", in_class([](DeviceClass& d) { d.roots.value.clear(); }), {"ATT-CHAIN-ROOT"}},
       {"another root", in_class([](DeviceClass& d) { d.roots.value[0][0] ^= 1; }), {"ATT-CHAIN-ROOT"}},
       {"a root cut short",
        in_class([](DeviceClass& d) { d.roots.value[0].pop_back(); }),
        {"ATT-CHAIN-ROOT"}},
       {"oemid unset", in_class([](DeviceClass& d) { d.oemid.value.reset(); }), {"POL-OEMID"}},
       {"oemid", in_class([](DeviceClass& d) { d.oemid.value = 1; }), {"POL-OEMID"}},
       {"hwmodel unset", in_class([](DeviceClass& d) { d.hwmodel.value.reset(); }), {"POL-HWMODEL"}},
       {"hwmodel empty", in_class([](DeviceClass& d) { d.hwmodel.value = Bytes{}; }), {"POL-HWMODEL"}},
       {"hwversion unset", in_class([](DeviceClass& d) { d.hwversion.value.reset(); }), {"POL-HWVERSION"}},
       {"hwversion", in_class([](DeviceClass& d) { d.hwversion.value = "2"; }), {"POL-HWVERSION"}},
       {"oemboot unset", in_class([](DeviceClass& d) { d.oemboot.value = false; }), {"POL-OEMBOOT"}},
       {"dbgstat", in_class([](DeviceClass& d) { d.min_dbgstat.value = 4; }), {"POL-DBGSTAT"}},
       {"lifecycle unset", in_class([](DeviceClass& d) { d.lifecycle.value.reset(); }), {"POL-LIFECYCLE"}},
       {"lifecycle empty", in_class([](DeviceClass& d) { d.lifecycle.value->clear(); }), {"POL-LIFECYCLE"}},
       {"lifecycle", in_class([](DeviceClass& d) { d.lifecycle.value = {"rma"}; }), {"POL-LIFECYCLE"}},
       {"session keys unset",
        in_class([](DeviceClass& d) { d.session_keys.value.clear(); }),
        {"POL-SESSION-KEY"}},
       {"session keys",
        in_class([](DeviceClass& d) { d.session_keys.value = {"rsa"}; }),
        {"POL-SESSION-KEY"}},
       {"lifetime unset",
        in_class([](DeviceClass& d) { d.challenge_lifetime.value = 0; }),
        {"POL-CHALLENGE-LIFETIME"}},
       {"lifetime",
        in_class([](DeviceClass& d) { d.challenge_lifetime.value = 60; }),
        {"POL-CHALLENGE-LIFETIME"}},
       {"ueids unset", in_class([](DeviceClass& d) { d.ueids.value->clear(); }), {"POL-UEID"}},
       {"another ueid", in_class([](DeviceClass& d) { (*d.ueids.value)[0][0] ^= 1; }), {"POL-UEID"}},
       {"revoked", in_class([](DeviceClass& d) { d.revoked_ueids.value = *d.ueids.value; }), {"POL-REVOKED"}},
       {"no releases to a card",
        in_class([](DeviceClass& d) { d.max_releases.value = 0; }),
        {"POL-CARD-RELEASES"}},
       {"CRLs required", in_class([](DeviceClass& d) { d.crl_required.value = true; }), {"POL-CRL"}},
       {"measurements unset",
        in_class([](DeviceClass& d) { d.measurements.clear(); }),
        {"POL-MEASUREMENT-EXTRA"}},
       {"one measurement less",
        in_class([](DeviceClass& d) { d.measurements.pop_back(); }),
        {"POL-MEASUREMENT-EXTRA"}},
       {"one more",
        in_class([](DeviceClass& d) {
          d.measurements.push_back(d.measurements[0]), d.measurements[2].name = "x";
        }),
        {"POL-MEASUREMENT-MISSING"}},
       {"digests unset",
        in_class([](DeviceClass& d) { d.measurements[0].digests.clear(); }),
        {"POL-MEASUREMENT-DIGEST"}},
       {"an empty digest",
        in_class([](DeviceClass& d) { d.measurements[0].digests.assign(1, Bytes{}); }),
        {"POL-MEASUREMENT-DIGEST"}},
       {"a digest",
        in_class([](DeviceClass& d) { d.measurements[0].digests[0][0] ^= 1; }),
        {"POL-MEASUREMENT-DIGEST"}},
       {"SVN", in_class([](DeviceClass& d) { d.measurements[0].min_svn = 5; }), {"POL-SVN"}},
       {"a submodule",
        in_class([](DeviceClass& d) { d.submods.value = {{"nsp", d.measurements, 1}}; }),
        {"POL-SUBMOD-MISSING"}}},
      "rules of the class");
}

TEST(Mutation, EveryOtherRuleUnsetOrChanged) {
  run({{"no MEK rule", [](PolicyFixture& d) { d.policy.meks.clear(); }, {"POL-MEK"}},
       {"labels unset", in_mek([](MekRule& m) { m.labels.value.clear(); }), {"POL-MEK"}},
       {"labels", in_mek([](MekRule& m) { m.labels.value = {"bert*"}; }), {"POL-MEK"}},
       {"two rules",
        [](PolicyFixture& d) { d.policy.meks.push_back(d.policy.meks[0]); },
        {"POL-MEK-AMBIGUOUS"}},
       {"devices unset", in_mek([](MekRule& m) { m.devices.value.clear(); }), {"POL-DEVICE"}},
       {"devices", in_mek([](MekRule& m) { m.devices.value = {"gone"}; }), {"POL-DEVICE"}},
       {"suites unset", in_mek([](MekRule& m) { m.suites.value.clear(); }), {"POL-SUITE"}},
       {"suites", in_mek([](MekRule& m) { m.suites.value = {3, 4}; }), {"POL-SUITE"}},
       {"releases unset", in_mek([](MekRule& m) { m.max_releases.value = 0; }), {"POL-RELEASES"}},
       {"expired", [](PolicyFixture& d) { d.policy.expires.value = d.now; }, {"POL-EXPIRED"}},
       {"expiry unset", [](PolicyFixture& d) { d.policy.expires.value = 0; }, {"POL-EXPIRED"}},
       {"no classes and no rule",
        [](PolicyFixture& d) { d.policy.meks.clear(), d.policy.devices[0].name = "x"; },
        {"POL-MEK"}}},
      "other rules");
}

TEST(Mutation, EveryFactOfTheLog) {
  const auto history = [](const std::function<void(audit::MekHistory&)>& change) {
    return [change](PolicyFixture& d) { change(d.mek()); };
  };
  const auto challenge = [](const std::function<void(audit::Challenge&)>& change) {
    return [change](PolicyFixture& d) { change(d.challenge()); };
  };
  run({{"no challenge", [](PolicyFixture& d) { d.state.challenges.clear(); }, {"POL-CHALLENGE"}},
       {"consumed", challenge([](audit::Challenge& c) { c.consumed = true; }), {"POL-CHALLENGE-USED"}},
       {"expired", challenge([](audit::Challenge& c) { c.expires = kTestNow; }), {"POL-CHALLENGE-EXPIRED"}},
       {"never valid", challenge([](audit::Challenge& c) { c.expires = 0; }), {"POL-CHALLENGE-EXPIRED"}},
       {"too old",
        challenge([](audit::Challenge& c) { c.made = kTestNow - kDay; }),
        {"POL-CHALLENGE-LIFETIME"}},
       {"from the future",
        challenge([](audit::Challenge& c) { c.made = kTestNow + 1; }),
        {"POL-CHALLENGE-LIFETIME"}},
       {"for another key", challenge([](audit::Challenge& c) { c.mek_id[0] ^= 1; }), {"POL-CHALLENGE-MEK"}},
       {"for no key", challenge([](audit::Challenge& c) { c.mek_id.clear(); }), {"POL-CHALLENGE-MEK"}},
       {"for another card",
        challenge([](audit::Challenge& c) { c.ueid = Bytes(10, 9); }),
        {"POL-CHALLENGE-UEID"}},
       {"another nonce in the entry",
        challenge([](audit::Challenge& c) { c.nonce[0] ^= 1; }),
        {"POL-CHALLENGE-NONCE"}},
       {"another appliance",
        [](PolicyFixture& d) { d.state.genesis = {{"aud", to_hex(Bytes(16, 1))}}; },
        {"POL-AUD"}},
       {"no such key", [](PolicyFixture& d) { d.state.meks.clear(); }, {"POL-MEK"}},
       {"a key of another name", history([](audit::MekHistory& m) { m.label = "bert#1"; }), {"POL-MEK"}},
       {"released as often as allowed",
        history([](audit::MekHistory& m) { m.releases = 10; }),
        {"POL-RELEASES"}},
       {"the card had its share",
        [](PolicyFixture& d) { d.state.card_releases[TestCard().ueid] = 5; },
        {"POL-CARD-RELEASES"}},
       {"later", [](PolicyFixture& d) { d.now = kTestNow + 2 * kDay; }, {"POL-EXPIRED"}},
       {"much later", [](PolicyFixture& d) { d.now = kTestNow + 40 * kDay; }, {"ATT-CHAIN-TIME"}},
       {"much earlier", [](PolicyFixture& d) { d.now = kTestNow - 40 * kDay; }, {"ATT-CHAIN-TIME"}},
       {"no roots", [](PolicyFixture& d) { d.trust.roots.clear(); }, {"ATT-CHAIN-ROOT"}}},
      "facts of the log");
}

// The policy's text without one of its lines is no policy.
TEST(Mutation, EveryLineOfThePolicyRemoved) {
  const std::string text = desk_for(TestCard()).policy_text;
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  int refused = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty() || lines[i].starts_with("release =")) continue;
    std::string without;
    for (std::size_t j = 0; j < lines.size(); ++j)
      if (j != i) without += lines[j] + "\n";
    try {
      static_cast<void>(policy::parse_policy(without));
      ADD_FAILURE() << "accepted without: " << lines[i];
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Malformed);
      ++refused;
    }
  }
  EXPECT_GT(refused, 25);
  std::cout << "lines of the policy: " << refused << " removed, all refused\n";
}

}  // namespace
}  // namespace qpcseal::testing
