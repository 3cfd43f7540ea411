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
