// SPDX-License-Identifier: Apache-2.0
#include "policy/diff.h"

#include <gtest/gtest.h>

#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using qpcseal::testing::sample_policy;
using qpcseal::testing::sample_policy_text;

struct Case {
  const char *from, *to, *rule, *before, *after;
};

TEST(PolicyDiff, NamesTheOneRuleThatChanged) {
  const Case cases[] = {
      {"serial = 7", "serial = 8", "serial", "7", "8"},
      {"\"plant-1\"", "\"plant-2\"", "appliance", "plant-1", "plant-2"},
      {"\"plant-1\"", "\"any\"", "appliance", "plant-1", "ANY"},
      {"min_dbgstat = 2", "min_dbgstat = 0", "class 'ai100': least dbgstat", "2", "0"},
      {"oemid = 4660", "oemid = 1", "class 'ai100': oemid", "4660", "1"},
      {"challenge_lifetime = \"24h\"", "challenge_lifetime = \"1h\"", "class 'ai100': challenge lifetime",
       "86400 seconds", "3600 seconds"},
      {"min_svn = 5", "min_svn = 4", "class 'ai100': measurement 'boot': least security version", "5", "4"},
      {"suites = [1, 2]", "suites = [1, 2, 4]", "keys resnet*: wrap suites", "1, 2", "1, 2, 4"},
      {"max_releases = 10", "max_releases = 11", "keys resnet*: most releases", "10", "11"},
      {"segments = [\"extra.bin\"]", "segments = []", "keys resnet*: further segments", "extra.bin", "none"},
      {"release = 2", "release = 1", "officers for 'release'", "2", "1"}};
  for (const Case& each : cases) {
    const auto changes = diff(sample_policy(), parse_policy(sample_policy_text(each.from, each.to)));
    ASSERT_EQ(changes.size(), 1U) << each.from;
    EXPECT_EQ(changes[0].rule, each.rule);
    EXPECT_EQ(changes[0].before, each.before);
    EXPECT_EQ(changes[0].after, each.after);
  }
}

// Whatever a policy says, a change of it is named, and is a change of the words that officers read.
TEST(PolicyDiff, HidesNoRule) {
  const std::string twos(64, '2'), threes(64, '3'), fours(64, '4');
  const std::pair<std::string, std::string> edits[] = {
      {"serial = 7", "serial = 8"},
      {"\"plant-1\"", "\"plant-2\""},
      {"\"plant-1\"", "\"any\""},
      {"2027-01-01", "2027-01-02"},
      {"collateral = \"none\"", "collateral = \"required\""},
      {"scheme = \"eat-card\"", "scheme = \"aws-nitro\""},
      {"roots = [\"1111", "roots = [\"2111"},
      {"oemid = 4660", "oemid = 4661"},
      {"oemid = 4660", "oemid = \"none\""},
      {"hwmodel = \"a1cd\"", "hwmodel = \"a1ce\""},
      {"hwmodel = \"a1cd\"", "hwmodel = \"none\""},
      {"hwversion = \"2.0\"", "hwversion = \"2.1\""},
      {"hwversion = \"2.0\"", "hwversion = \"none\""},
      {"min_dbgstat = 2", "min_dbgstat = 2\noemboot = \"none\""},
      {"min_dbgstat = 2", "min_dbgstat = 3"},
      {"lifecycle = [\"secured\"]", "lifecycle = [\"secured\", \"rma\"]"},
      {"lifecycle = [\"secured\"]", "lifecycle = \"none\""},
      {"session_keys = [\"p256\", \"p384\"]", "session_keys = [\"p256\"]"},
      {"challenge_lifetime = \"24h\"", "challenge_lifetime = \"25h\""},
      {"ueids = [\"01aabbccddeeff\", ", "ueids = [\"02aabbccddeeff\", "},
      {"ueids = [\"01aabbccddeeff\", \"01aabbccddee00\"]", "ueids = \"any\""},
      {"revoked_ueids = [\"01aabbccddee00\"]", "revoked_ueids = []"},
      {"max_releases_per_card = 100", "max_releases_per_card = 101"},
      {"crl = \"required\"", "crl = \"none\""},
      {"name = \"boot\"", "name = \"root\""},
      {"digests = [\"" + twos + "\"]", "digests = [\"" + twos + "\", \"" + fours + "\"]"},
      {"digests = [\"" + twos + "\"]", "references = [\"boot 1.0\"]"},
      {"min_svn = 5", "min_svn = 4"},
      {"name = \"nsp\"", "name = \"soc\""},
      {"name = \"firmware\"", "name = \"software\""},
      {"digests = [\"" + threes + "\"]", "digests = [\"" + fours + "\"]"},
      {"min_svn = 0", "min_svn = 1"},
      {"labels = [\"resnet*\"]", "labels = [\"resnet*\", \"bert*\"]"},
      {"modes = [\"token\"]", "modes = [\"token\", \"envelope\"]"},
      {"suites = [1, 2]", "suites = [2, 1]"},
      {"segments = [\"extra.bin\"]", "segments = [\"other.bin\"]"},
      {"max_releases = 10", "max_releases = 11"},
      {"max_releases = 10", "max_releases = 10\nelf = \"host-readable\""},
      {"max_releases = 10", "max_releases = 10\nelf = \"whole\""},
      {"max_releases = 10", "max_releases = 10\nelf_sections = [\"metadata\"]"},
      {"max_encryptions = 1000", "max_encryptions = 1001"},
      {"seal = 1", "seal = 0"},
      {"mek-generate = 0", "mek-generate = 0\nmek-destroy = 2"}};
  for (const auto& [from, to] : edits) {
    const Policy changed = parse_policy(sample_policy_text(from, to));
    EXPECT_FALSE(diff(sample_policy(), changed).empty()) << to;
    EXPECT_NE(show(sample_policy()), show(changed)) << to;
  }
}

TEST(PolicyDiff, ARuleThatIsGoneAndOneThatIsNew) {
  const auto gone = diff(sample_policy(), parse_policy(sample_policy_text("seal = 1\n", "")));
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_FALSE(gone[0].after);
  const auto fresh = diff(parse_policy(sample_policy_text("seal = 1\n", "")), sample_policy());
  ASSERT_EQ(fresh.size(), 1U);
  EXPECT_FALSE(fresh[0].before);
}

TEST(PolicyDiff, CommentsAndLayoutAreNoChange) {
  EXPECT_TRUE(diff(sample_policy(), parse_policy("# more\n\n" + sample_policy_text())).empty());
}

}  // namespace
}  // namespace qpcseal::policy
