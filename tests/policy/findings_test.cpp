// SPDX-License-Identifier: Apache-2.0
// What a denial says: the id, what was looked at, what it was, what it had to be, and the rule's place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "policy/evaluate.h"
#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using testing::sample_facts;
using testing::sample_policy;
using testing::sample_policy_text;
using testing::sample_seal_facts;

TEST(Release, FindingsNameTheLineOfTheRule) {
  Facts facts = sample_facts();
  facts.card.oemid = 1;
  const Decision decision = evaluate(sample_policy(), facts);
  ASSERT_EQ(decision.findings().size(), 1U);
  EXPECT_EQ(decision.findings()[0], (Finding{"POL-OEMID", "oemid", "1", "4660", "policy.toml:9"}));
}

// What was looked at, what it was, what it had to be: in words a person can act on.
TEST(Release, FindingsSayWhatWasSeenAndWhatIsWanted) {
  const auto first = [](const Policy& policy, void (*change)(Facts&)) {
    Facts facts = sample_facts();
    change(facts);
    const Finding finding = evaluate(policy, facts).findings().at(0);
    return finding.id + ": " + finding.claim + " is " + finding.observed + ", not " + finding.expected;
  };
  const std::pair<void (*)(Facts&), const char*> said[] = {
      {[](Facts& f) { f.suite = 3; }, "POL-SUITE: suite is 3, not 1, 2"},
      {[](Facts& f) { f.suite = 2, f.card.session_key = "p384"; },
       "POL-SUITE-KEY: suite is 2, not one for p384 keys"},
      {[](Facts& f) { f.card.session_key.clear(); }, "POL-SUITE-KEY: suite is 1, not a session key to serve"},
      {[](Facts& f) { f.card.oemboot = false; }, "POL-OEMBOOT: oemboot is false, not true"},
      {[](Facts& f) { f.card.oemboot.reset(); }, "POL-OEMBOOT: oemboot is absent, not true"},
      {[](Facts& f) { f.card.hwmodel = Bytes{1}, f.svn_floors.clear(); },
       "POL-HWMODEL: hwmodel is 01, not a1cd"},
      {[](Facts& f) { f.card.lifecycle.reset(); }, "POL-LIFECYCLE: lifecycle is absent, not secured"},
      {[](Facts& f) { f.card.measurements[0].svn.reset(); },
       "POL-SVN: SVN of boot is absent, not at least 5"},
      {[](Facts& f) { f.card.measurements[0].svn = 5, f.svn_floors[0].svn = 6; },
       "POL-SVN-FLOOR: SVN of boot is 5, not at least 6, as earlier releases demanded"},
      {[](Facts& f) { f.challenge.ueid = Bytes(7, 1); },
       "POL-CHALLENGE-UEID: ueid is 01aabbccddeeff, not 01010101010101"},
      {[](Facts& f) { f.card_releases = 100; },
       "POL-CARD-RELEASES: releases to this card is 100 so far, of all keys, not at most 100"},
      {[](Facts& f) { f.mek.releases = 10; },
       "POL-RELEASES: releases is 10 so far, 1 wanted, not at most 10"}};
  for (const auto& [change, text] : said) EXPECT_EQ(first(sample_policy(), change), text);
  const std::string digest = "[\"" + std::string(64, '2') + "\"]";
  const auto measured = [](Facts& f) { f.card.measurements[0].digest = Bytes(32, 9); };
  EXPECT_THAT(first(sample_policy(), measured), ::testing::EndsWith(", not " + std::string(64, '2')));
  EXPECT_THAT(
      first(parse_policy(sample_policy_text("digests = " + digest, "references = [\"x\"]")), measured),
      ::testing::EndsWith(", not a reference that no bundle has"));
  const auto sealed = [](void (*change)(SealFacts&)) {
    SealFacts facts = sample_seal_facts();
    change(facts);
    const Finding finding = evaluate(sample_policy(), facts).findings().at(0);
    return finding.observed + ", not " + finding.expected;
  };
  EXPECT_EQ(sealed([](SealFacts& f) { f.segments = {"network.elf"}; }),
            "network.elf, not constants.bin, extra.bin, network.elf");
  EXPECT_EQ(sealed([](SealFacts& f) { f.segments = {"a"}, f.available = {"a"}; }),
            "a, not at least one to seal");
}

std::set<std::string> ids_in(const std::filesystem::path& dir) {
  std::set<std::string> out;
  const std::regex quoted("\"([^\"]*POL-[^\"]*)\""), one("POL-[A-Z0-9-]+");
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() != ".cpp") continue;
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    const std::string all = text.str();
    for (std::sregex_iterator it(all.begin(), all.end(), quoted), end; it != end; ++it) {
      const std::string string = (*it)[1];
      for (std::sregex_iterator id(string.begin(), string.end(), one); id != end; ++id) out.insert(id->str());
    }
  }
  return out;
}

TEST(FindingIds, EachIsTested) {
  const std::filesystem::path root = QPCSEAL_SOURCE_DIR;
  const std::set<std::string> tested = ids_in(root / "tests/policy"), all = ids_in(root / "policy");
  EXPECT_GT(all.size(), 40U);
  for (const std::string& id : all) EXPECT_TRUE(tested.contains(id)) << id << " occurs in no test";
}

}  // namespace
}  // namespace qpcseal::policy
