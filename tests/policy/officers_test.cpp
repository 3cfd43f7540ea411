// SPDX-License-Identifier: Apache-2.0
// The officers file, read as strictly as its one form, and times at which its keys count.
#include "appliance/approval/officers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/approval/sshsig_sign.h"
#include "base/error.h"
#include "tests/base/expect_error.h"

namespace qpcseal::policy {
namespace {

constexpr const char* kNamespace = "policy@qpcseal";

class OfficersFile : public ::testing::Test {
 protected:
  approval::EvpKey key{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")};
  std::string half = "ssh-ed25519 " + to_base64(approval::ssh_key_blob(key.get()));
  const std::string option = "namespaces=\"policy@qpcseal\"";

  [[nodiscard]] approval::Officer one(const std::string& name, const std::string& options) const {
    return std::move(approval::parse_officers(name + " " + options + " " + half + "\n").list.at(0));
  }
  [[nodiscard]] UnixTime before(const std::string& time) const {
    return one("anna", option + ",valid-before=\"" + time + "\"").valid_before.value();
  }
};

TEST_F(OfficersFile, NamesAreOnePlainWord) {
  const std::string every = "azAZ09._-@+";
  EXPECT_EQ(one(every, option).name, every);
  EXPECT_EQ(one(std::string(128, 'a'), option).name.size(), 128U);
  for (const std::string& name :
       {std::string(129, 'a'), std::string("a,b"), std::string("a*"), std::string("a?"), std::string("!a"),
        std::string("a/b"), std::string("a:b"), std::string("a;"), std::string("a["), std::string("a`"),
        std::string("a{"), std::string("\"a\""), std::string("\xc3\xa4")})
    EXPECT_ERROR(Malformed, "plain name", one(name, option));
}

TEST_F(OfficersFile, RefusesTwoSpellingsOfOneName) {
  const approval::EvpKey other(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const std::string second =
      " " + option + " ssh-ed25519 " + to_base64(approval::ssh_key_blob(other.get())) + "\n";
  const std::string first = "anna.b@plant " + option + " " + half + "\n";
  EXPECT_ERROR(Malformed, "'Anna.B@plant' is 'anna.b@plant' of line 1",
               approval::parse_officers(first + "Anna.B@plant" + second));
  EXPECT_EQ(approval::parse_officers(first + "anna.b@plant" + second).list.size(), 2U);
  EXPECT_EQ(approval::parse_officers(first + "anna.c@plant" + second).list.size(), 2U);
}

TEST_F(OfficersFile, OptionsAreKnownQuotedAndStandOnce) {
  EXPECT_THAT(one("anna", "namespaces=\"a@qpcseal,b@qpcseal\"").namespaces,
              ::testing::ElementsAre("a@qpcseal", "b@qpcseal"));
  const std::pair<std::string, const char*> wrong[] = {
      {"namespaces", "'namespaces' is refused"},
      {"cert-authority", "'cert-authority' is refused"},
      {"namespaces=policy@qpcseal", "wants quotes"},
      {"namespaces=\"policy@qpcseal\"x", "wants quotes"},
      {"namespaces=x\"policy@qpcseal\"", "wants quotes"},
      {"namespaces=", "wants quotes"},
      {"namespaces=\"policy@qpcseal", "quote is not closed"},
      {"namespaces=\"\"", "plain names is required"},
      {"namespaces=\"a@qpcseal,\"", "plain names is required"},
      {"namespaces=\"a@qpcseal,*@qpcseal\"", "plain names is required"},
      {"namespaces=\"a?\"", "plain names is required"},
      {"namespaces=\"!a\"", "plain names is required"},
      {"namespaces=\"a b\"", "plain names is required"},
      {"valid-after=\"20260101Z\"", "plain names is required"},
      {option + "," + option, "stands twice"},
      {option + ",valid-after=\"20260101Z\",valid-after=\"20270101Z\"", "stands twice"},
      {option + ",valid-before=\"20260101Z\",valid-before=\"20270101Z\"", "stands twice"},
      {option + ",verify-required=\"yes\"", "unknown"},
      {option + ",", "refused"}};
  for (const auto& [options, says] : wrong) EXPECT_ERROR(Malformed, says, one("anna", options));
}

TEST_F(OfficersFile, TimesHaveDaysMinutesOrSecondsAndAZ) {
  EXPECT_EQ(before("20261124Z"), parse_time("2026-11-24T00:00:00Z"));
  EXPECT_EQ(before("202611241305Z"), parse_time("2026-11-24T13:05:00Z"));
  EXPECT_EQ(before("20261124130507Z"), parse_time("2026-11-24T13:05:07Z"));
  for (const char* time : {"20261124", "20261124130507", ""})
    EXPECT_ERROR(Malformed, "lacks the final Z", before(time));
  for (const char* time : {"Z", "2026Z", "2026112Z", "202611241Z", "2026112413Z", "20261124130Z",
                           "2026112413050Z", "202611241305070Z", "20261124130507ZZ"})
    EXPECT_ERROR(Malformed, "is not YYYYMMDD", before(time));
  for (const char* time : {"20261301Z", "20260230Z", "202611242460Z", "2026x124Z"})
    EXPECT_ERROR(Malformed, "officers:1", before(time));
}

TEST_F(OfficersFile, LinesAreWordsApartBySpacesOrTabs) {
  EXPECT_EQ(
      approval::parse_officers("# all\n\nanna\t" + option + " \t " + half + " a comment\n").list.at(0).line,
      3U);
  EXPECT_ERROR(Malformed, "nobody", approval::parse_officers("# none\n\n"));
  EXPECT_ERROR(Malformed, "too large",
               approval::parse_officers(std::string(approval::kMaxOfficersFile + 1, '#')));
  EXPECT_ERROR(Malformed, "nobody", approval::parse_officers(std::string(approval::kMaxOfficersFile, '#')));
  EXPECT_ERROR(Malformed, "plain name", approval::parse_officers(" \n"));
  EXPECT_ERROR(Malformed, "nothing stands behind the name 'anna'", approval::parse_officers("anna\n"));
  EXPECT_ERROR(Malformed, "behind the name comes namespaces=\"...\"",
               approval::parse_officers("anna " + half));
  EXPECT_ERROR(Malformed, "officers:2", approval::parse_officers("anna " + option + " " + half + "\nbela\n"));
  EXPECT_ERROR(
      Malformed, "not of the kind",
      approval::parse_officers("anna " + option + " ecdsa-sha2-nistp256 " + half.substr(half.find(' ') + 1)));
}

TEST_F(OfficersFile, AKeyCountsFromItsFirstSecondToBeforeItsLast) {
  const UnixTime start = parse_time("2026-11-24T00:00:00Z"), end = parse_time("2026-11-25T00:00:00Z");
  const approval::Officers officers = approval::parse_officers(
      "anna " + option + ",valid-after=\"20261124Z\",valid-before=\"20261125Z\" " + half);
  const std::string signature = approval::sign_sshsig(key.get(), kNamespace, view("text"));
  const auto finding = [&](UnixTime now) {
    const approval::Tally tally =
        approval::tally_signatures(officers, kNamespace, view("text"), {signature}, now);
    EXPECT_NE(tally.findings.empty(), tally.approvers.empty());
    return tally.findings.empty() ? Finding{} : tally.findings[0];
  };
  EXPECT_EQ(finding(start - 1).id, "POL-SIGNATURE-EARLY");
  EXPECT_EQ(finding(start).id, "");
  EXPECT_EQ(finding(end - 1).id, "");
  EXPECT_EQ(finding(end).id, "POL-SIGNATURE-LATE");
  EXPECT_EQ(finding(end).rule, "officers:1");
}

TEST_F(OfficersFile, PeopleAreCountedWhoMaySignThereAndThen) {
  const auto line = [](const std::string& name, const std::string& options) {
    const approval::EvpKey made(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    return name + " " + options + " ssh-ed25519 " + to_base64(approval::ssh_key_blob(made.get())) + "\n";
  };
  const approval::Officers officers = approval::parse_officers(
      line("anna", option) + line("anna", option) + line("bela", option + ",valid-before=\"20261125Z\"") +
      line("carl", option + ",valid-after=\"20261125Z\"") + line("dora", "namespaces=\"plan@qpcseal\""));
  const UnixTime turn = parse_time("2026-11-25T00:00:00Z");
  EXPECT_EQ(approval::count_signers(officers, kNamespace, turn - 1), 2U) << "anna, with two keys, and bela";
  EXPECT_EQ(approval::count_signers(officers, kNamespace, turn), 2U) << "anna and carl";
  EXPECT_EQ(approval::count_signers(officers, "plan@qpcseal", turn), 1U);
  EXPECT_EQ(approval::count_signers(officers, "release@qpcseal", turn), 0U);
  EXPECT_EQ(approval::count_signers({}, kNamespace, turn), 0U);
}

}  // namespace
}  // namespace qpcseal::policy
