// SPDX-License-Identifier: Apache-2.0
// The policy is read strictly: whatever is unset, unknown, double, empty, of another type or out of range is
// refused, with its line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "policy/policy.h"
#include "tests/base/expect_error.h"
#include "tests/policy/sample.h"

namespace qpcseal::policy {
namespace {

using ::testing::HasSubstr;
using testing::sample_policy;
using testing::sample_policy_text;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == '\n') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

std::string join(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

// "FILE:LINE: ..." with a line of the file.
void expect_refused(const std::string& text, const std::string& says, const std::string& what) {
  try {
    static_cast<void>(parse_policy(text, "site.toml"));
    ADD_FAILURE() << "accepted: " << what;
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::Malformed) << what;
    EXPECT_THAT(message, HasSubstr(says)) << what;
    ASSERT_TRUE(message.starts_with("site.toml:")) << message;
    const int line = std::atoi(message.c_str() + 10);
    EXPECT_GE(line, 0) << message;
    EXPECT_LE(line, static_cast<int>(lines_of(text).size())) << message;
  }
}

TEST(PolicyParse, TheSampleIsReadAsWritten) {
  const Policy policy = sample_policy();
  EXPECT_EQ(policy.serial.value, 7U);
  EXPECT_EQ(policy.appliance.value, "plant-1");
  EXPECT_EQ(policy.expires.value, parse_time("2027-01-01T00:00:00Z"));
  ASSERT_EQ(policy.devices.size(), 1U);
  const DeviceClass& device = policy.devices[0];
  EXPECT_EQ(device.oemid.line, 9);
  EXPECT_EQ(device.challenge_lifetime.value, 86400);
  EXPECT_EQ(device.ueids.value->size(), 2U);
  EXPECT_TRUE(device.crl_required.value);
  ASSERT_EQ(device.measurements.size(), 1U);
  EXPECT_EQ(device.measurements[0].min_svn, 5U);
  ASSERT_EQ(device.submods.value.size(), 1U);
  EXPECT_EQ(device.submods.value[0].measurements[0].name, "firmware");
  ASSERT_EQ(policy.meks.size(), 1U);
  EXPECT_EQ(policy.meks[0].suites.value, (std::vector<unsigned>{1, 2}));
  EXPECT_EQ(policy.meks[0].max_encryptions.value, 1000U);
}

TEST(PolicyParse, ClaimsThatASchemeLacksAreWrittenOutAsNone) {
  EXPECT_TRUE(sample_policy().devices[0].oemboot.value);
  const std::pair<const char*, const char*> lines[] = {{"oemid = 4660", "oemid = \"none\""},
                                                       {"hwmodel = \"a1cd\"", "hwmodel = \"none\""},
                                                       {"hwversion = \"2.0\"", "hwversion = \"none\""},
                                                       {"lifecycle = [\"secured\"]", "lifecycle = \"none\""}};
  for (const auto& [from, to] : lines) {
    const DeviceClass device = parse_policy(sample_policy_text(from, to)).devices[0];
    const int values = static_cast<int>(device.oemid.value.has_value()) +
                       static_cast<int>(device.hwmodel.value.has_value()) +
                       static_cast<int>(device.hwversion.value.has_value()) +
                       static_cast<int>(device.lifecycle.value.has_value());
    EXPECT_EQ(values, 3) << to;
  }
  const std::string with = sample_policy_text("oemid = 4660", "oemid = 4660\noemboot = \"none\"");
  EXPECT_FALSE(parse_policy(with).devices[0].oemboot.value);
  for (const char* value : {"\"no\"", "true", "0", "\"\""})
    expect_refused(sample_policy_text("oemid = 4660", std::string("oemid = 4660\noemboot = ") + value),
                   "oemboot", value);
}

TEST(PolicyParse, ApprovalsAreWrittenOutOrTheOperationIsDenied) {
  const Policy policy = sample_policy();
  EXPECT_EQ(policy.approvals_for("release"), 2);
  EXPECT_EQ(policy.approvals_for("mek-generate"), 0);
  EXPECT_EQ(policy.approvals_for("mek-destroy"), std::nullopt);
  EXPECT_EQ(policy.approvals_for(""), std::nullopt);
}

TEST(PolicyParse, EachRuleIsRequired) {
  const std::vector<std::string> lines = lines_of(sample_policy_text());
  int rules = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool approval = lines[i].starts_with("seal =") || lines[i].starts_with("release =") ||
                          lines[i].starts_with("mek-generate =");
    if (lines[i].find(" = ") == std::string::npos || approval) continue;
    std::vector<std::string> without = lines;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    const std::string key = lines[i].substr(0, lines[i].find(' '));
    expect_refused(join(without), "the rule '" + key + "' is missing", lines[i]);
    ++rules;
  }
  EXPECT_EQ(rules, 32);
}

TEST(PolicyParse, EachKeyStandsOnceAndIsKnown) {
  const std::vector<std::string> lines = lines_of(sample_policy_text());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].find(" = ") == std::string::npos) continue;
    std::vector<std::string> more = lines;
    more.insert(more.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    expect_refused(join(more), "", "twice: " + lines[i]);
    more[i] = "surprise = 1";
    const bool approval = lines[i].starts_with("seal =") || lines[i].starts_with("release =") ||
                          lines[i].starts_with("mek-generate =");
    expect_refused(join(more), std::string("unknown ") + (approval ? "operation" : "key") + " 'surprise'",
                   "before: " + lines[i]);
  }
}

TEST(PolicyParse, EachRuleHasItsType) {
  const std::vector<std::string> lines = lines_of(sample_policy_text());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t equals = lines[i].find(" = ");
    if (equals == std::string::npos) continue;
    for (const char* value :
         {"true", "1.5", "{}", "[]", "\"\"", "[[]]", "[1.5]", "[\"\"]", "-1", "2026-01-01"}) {
      if (lines[i].starts_with("segments") && std::string(value) == "[]") continue;       // may be empty,
      if (lines[i].starts_with("revoked_ueids") && std::string(value) == "[]") continue;  // and so may this
      std::vector<std::string> wrong = lines;
      wrong[i] = lines[i].substr(0, equals) + " = " + value;
      expect_refused(join(wrong), "", wrong[i]);
    }
  }
}

struct Edit {
  const char* from;
  const char* to;
  const char* says;
};

TEST(PolicyParse, EachRuleHasItsRange) {
  const Edit edits[] = {
      {"serial = 7", "serial = 0", "between"},
      {"appliance = \"plant-1\"\n", "", "the rule 'appliance' is missing"},
      {"\"plant-1\"", "\"\"", ""},
      {"\"plant-1\"", "\"plant 1\"", "no name of an appliance"},
      {"\"plant-1\"", "\"plant+1\"", "no name of an appliance"},
      {"\"plant-1\"", "\"pl\u00e4nt\"", "no name of an appliance"},
      {"\"plant-1\"", "[\"plant-1\", \"plant-2\"]", ""},
      {"\"2027-01-01T00:00:00Z\"", "\"2027-01-01\"", "not a time"},
      {"[\"1111", "[\"11", "31 bytes"},
      {"[\"1111", "[\"zz11", "digit"},
      {"roots = [", "roots = [\"1111111111111111111111111111111111111111111111111111111111111111\",",
       "twice"},
      {"oemid = 4660", "oemid = 9223372036854775808", ""},
      {"hwmodel = \"a1cd\"", "hwmodel = \"a1c\"", "odd length"},
      {"hwversion = \"2.0\"", "hwversion = \"2\\u001b\"", "control"},
      {"min_dbgstat = 2", "min_dbgstat = 5", "between 0 and 4"},
      {"[\"secured\"]", "[\"secured\", \"secured\"]", "twice"},
      {"[\"secured\"]", "[\"shipped\"]", "does not know 'shipped'"},
      {"[\"p256\", \"p384\"]", "[\"p256\", \"p521\"]", "does not know 'p521'"},
      {"\"24h\"", "\"24\"", "must look like"},
      {"\"24h\"", "\"0h\"", "must look like"},
      {"\"24h\"", "\"024h\"", "must look like"},
      {"\"24h\"", "\"-1h\"", "must look like"},
      {"\"24h\"", "\"h\"", "must look like"},
      {"\"24h\"", "\"24s\"", "must look like"},
      {"\"24h\"", "\"366d\"", "more than a year"},
      {"\"24h\"", "\"9999999d\"", "must look like"},
      {"ueids = [\"01aabbccddeeff\", ", "ueids = [\"01aabbccddeeff\", \"01AABBCCDDEEFF\", ", "twice"},
      {"ueids = [\"01aabbccddeeff\", ", "ueids = [\"01aabbccddee\", ", "6 bytes"},
      {"ueids = [\"01aabbccddeeff\", \"01aabbccddee00\"]", "ueids = \"all\"", "does not know 'all'"},
      {"crl = \"required\"", "crl = \"optional\"", "does not know 'optional'"},
      {"[\"2222", "[\"22", "neither 32 nor 48"},
      {"min_svn = 5", "min_svn = -1", "between"},
      {"[[device.submod]]",
       "[[device.measurement]]\nname = \"boot\"\ndigests = "
       "[\"4444444444444444444444444444444444444444444444444444444444444444\"]\nmin_svn = "
       "0\n[[device.submod]]",
       "'boot' stands twice"},
      {"crl = \"required\"", "crl = \"required\"\nsubmods = \"none\"", "yet here is one"},
      {"devices = [\"ai100\"]", "devices = [\"ai200\"]", "no device class 'ai200'"},
      {"modes = [\"token\"]", "modes = [\"clear\"]", "does not know 'clear'"},
      {"suites = [1, 2]", "suites = [1, 5]", "from 1 to 4"},
      {"suites = [1, 2]", "suites = [0]", "from 1 to 4"},
      {"suites = [1, 2]", "suites = [1, 1]", "twice"},
      {"[\"extra.bin\"]", "[\"seal.manifest\"]", "no further segment"},
      {"[\"extra.bin\"]", "[\"MEK.pub\"]", "no further segment"},
      {"[\"extra.bin\"]", "[\"network.elf\"]", "no further segment"},
      {"[\"extra.bin\"]", "[\"a/b\"]", "no further segment"},
      {"[\"extra.bin\"]", "[\"opstatsdesc.bin\"]", "no further segment"},
      {"max_releases = 10", "max_releases = 10\nelf = \"readable\"", "'elf' does not know 'readable'"},
      {"max_releases = 10", "max_releases = 10\nelf_sections = []", "empty"},
      {"max_releases = 10", "max_releases = 10\nelf_sections = [\"a\", \"a\"]", "twice"},
      {"max_releases = 10", "max_releases = 10\nelf = \"whole\"\nelf_sections = [\"a\"]",
       "'elf_sections' beside elf"},
      {"max_encryptions = 1000", "max_encryptions = 4294967297", "between 0 and 4294967296"},
      {"max_releases = 10", "max_releases = -1", "between"},
      {"[\"resnet*\"]", "[\"resnet*\", \"resnet*\"]", "twice"},
      {"\"eat-card\"", "\"eat-cards\"", "none of eat-card"},
      {"\"eat-card\"", "\"external\"", "none of eat-card"},
      {"[\"1111", "[\"111111", "33 bytes"},
      {"hwversion = \"2.0\"", "hwversion = \"2\\u007f\"", "control"},
      {"hwversion = \"2.0\"", "hwversion = \"2\\u009b\"", "not seen"},
      {"hwversion = \"2.0\"", "hwversion = \"2\\u202e\"", "not seen"},
      {"[\"resnet*\"]", "[\"resnet*\\u2066\"]", "not seen"},
      {"\"24h\"", "\"1000000m\"", "must look like"},
      {"\"24h\"", "\"2/h\"", "must look like"},
      {"\"24h\"", "\"2:h\"", "must look like"},
      {"[\"2222", "[\"222222", "neither 32 nor 48"},
      {"revoked_ueids = [\"01aabbccddee00\"]", "revoked_ueids = [\"01aabbccddee\"]", "6 bytes"},
      {"[\"extra.bin\"]", "[\"constants.bin\"]", "no further segment"},
      {"release = 2", "release = 101", "between 0 and 100"},
      {"release = 2", "releases = 2", "unknown operation 'releases'"},
      {"seal = 1\nrelease = 2\nmek-generate = 0\n", "", "empty"},
      {"serial = 7", "serial = ", ""},
      {"[approvals]", "[approvals", ""},
  };
  for (const Edit& edit : edits)
    expect_refused(sample_policy_text(edit.from, edit.to), edit.says,
                   std::string(edit.from) + " -> " + edit.to);
}

TEST(PolicyParse, TheBoundsThemselvesAreAllowed) {
  const std::string h33(66, 'a'), h34(68, 'a'), model33(66, 'b'), model32(64, 'b');
  const auto with = [](const std::string& from, const std::string& to) {
    return parse_policy(sample_policy_text(from, to));
  };
  EXPECT_EQ(with("\"24h\"", "\"365d\"").devices[0].challenge_lifetime.value, 365 * 86400);
  EXPECT_EQ(with("\"24h\"", "\"100000m\"").devices[0].challenge_lifetime.value, 100000 * 60);
  EXPECT_EQ(with("\"24h\"", "\"90m\"").devices[0].challenge_lifetime.value, 5400);
  EXPECT_EQ(with("min_dbgstat = 2", "min_dbgstat = 4").devices[0].min_dbgstat.value, 4U);
  EXPECT_EQ(with("oemid = 4660", "oemid = 0").devices[0].oemid.value, 0U);
  EXPECT_EQ(with("hwmodel = \"a1cd\"", "hwmodel = \"" + model32 + "\"").devices[0].hwmodel.value,
            Bytes(32, 0xbb));
  EXPECT_EQ(with("hwmodel = \"a1cd\"", "hwmodel = \"a1\"").devices[0].hwmodel.value, Bytes(1, 0xa1));
  expect_refused(sample_policy_text("hwmodel = \"a1cd\"", "hwmodel = \"" + model33 + "\""), "33 bytes",
                 "hwmodel");
  for (const char* list : {"\nueids = [\"01aabbccddeeff\"", "\nrevoked_ueids = [\"01aabbccddee00\""}) {
    const std::string key = std::string(list).substr(0, std::string(list).find('"'));
    EXPECT_NO_THROW(with(list, key + "\"" + h33 + "\"")) << list;
    expect_refused(sample_policy_text(list, key + "\"" + h34 + "\""), "34 bytes", list);
  }
  EXPECT_EQ(with("[\"" + std::string(64, '2') + "\"]", "[\"" + std::string(96, '2') + "\"]")
                .devices[0]
                .measurements[0]
                .digests[0]
                .size(),
            48U);
  EXPECT_NO_THROW(with("[\"extra.bin\"]", "[\"" + std::string(255, 's') + "\"]"));
  expect_refused(sample_policy_text("[\"extra.bin\"]", "[\"" + std::string(256, 's') + "\"]"),
                 "no further segment", "a long name");
  EXPECT_EQ(with("max_releases_per_card = 100", "max_releases_per_card = 0").devices[0].max_releases.value,
            0U);
  EXPECT_EQ(with("max_releases = 10", "max_releases = 0").meks[0].max_releases.value, 0U);
  EXPECT_EQ(with("max_encryptions = 1000", "max_encryptions = 4294967296").meks[0].max_encryptions.value,
            kMaxEncryptions);
  const std::string text = sample_policy_text();
  EXPECT_NO_THROW(parse_policy(text + std::string(kMaxPolicySize - text.size(), '#')));
}

TEST(PolicyParse, TablesAreTables) {
  const std::string text = sample_policy_text();
  const std::size_t device = text.find("[[device]]"), approvals = text.find("[approvals]");
  expect_refused(text.substr(0, device) + "device = [1]\n", "must be tables", "device");
  expect_refused("approvals = 1\n" + text.substr(0, approvals), "must be a table", "approvals");
}

TEST(PolicyParse, ErrorsNameTheLineItself) {
  EXPECT_ERROR(Malformed,
               "policy.toml:12:", parse_policy(sample_policy_text("min_dbgstat = 2", "min_dbgstat = 9")));
  EXPECT_ERROR(Malformed,
               "policy.toml:37:", parse_policy(sample_policy_text("max_releases = 10", "max_releases = -1")));
}

TEST(PolicyParse, SizeAndGarbage) {
  EXPECT_ERROR(Malformed, "1 MiB", parse_policy(std::string(kMaxPolicySize + 1, '#')));
  EXPECT_ERROR(Malformed, "missing", parse_policy(""));
  EXPECT_ERROR(Malformed, "policy.toml", parse_policy(std::string("\0\xff\xfe", 3)));
}

TEST(PolicyParse, SubmodsNoneAndAnyUeidMustBeSaid) {
  std::string text = sample_policy_text();
  const std::size_t from = text.find("[[device.submod]]"), to = text.find("[[mek]]");
  text.erase(from, to - from);
  expect_refused(text, "'submods' is missing", "no submods");
  text.insert(text.find("crl ="), "submods = \"none\"\n");
  EXPECT_TRUE(parse_policy(text).devices[0].submods.value.empty());
  const std::string any =
      sample_policy_text("ueids = [\"01aabbccddeeff\", \"01aabbccddee00\"]", "ueids = \"any\"");
  EXPECT_EQ(parse_policy(any).devices[0].ueids.value, std::nullopt);
}

TEST(PolicyParse, TwoClassesOrRulesOfOneNameAreRefused) {
  std::string text = sample_policy_text();
  const std::size_t device = text.find("[[device]]"), mek = text.find("[[mek]]"),
                    rest = text.find("[approvals]");
  std::string twice = text;
  twice.insert(mek, text.substr(device, mek - device));
  expect_refused(twice, "'ai100' stands twice", "two classes");
  twice.replace(twice.rfind("name = \"ai100\""), 14, "name = \"ai200\"");
  EXPECT_EQ(parse_policy(twice).devices.size(), 2U);
  twice = text;
  twice.insert(rest, text.substr(mek, rest - mek));
  expect_refused(twice, "'resnet*' stands twice", "two rules");
  twice.replace(twice.rfind("labels = [\"resnet*\"]"), 20, "labels = [\"bert#2\"]");
  const Policy two = parse_policy(twice);
  EXPECT_EQ(two.mek("resnet50#1"), &two.meks[0]);
  EXPECT_EQ(two.mek("bert#2"), &two.meks[1]);
  EXPECT_EQ(two.mek("bert#1"), nullptr);
  const std::size_t submod = text.find("[[device.submod]]");
  twice = text;
  twice.insert(mek, text.substr(submod, mek - submod));
  expect_refused(twice, "'nsp' stands twice", "two submodules");
}

}  // namespace
}  // namespace qpcseal::policy
