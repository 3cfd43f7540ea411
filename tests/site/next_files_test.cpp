// SPDX-License-Identifier: Apache-2.0
// The next policy, officers file and collateral bundle: who must have signed them, and what they must be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/site/outlook.h"
#include "appliance/site/pinned_files.h"
#include "base/digest.h"
#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::site {
namespace {

using encoding::Json;
using qpcseal::testing::LoggedHome;
using qpcseal::testing::OfficerKey;
using qpcseal::testing::write_text;
using ::testing::ElementsAre;

constexpr const char* kTwoOfficers =
    "release = 2\npolicy-change = 2\nofficers-change = 2\ntrust-import = 1\n";

// The sample with another serial, another year of its end and these approvals.
std::string policy_text(int serial, const std::string& approvals = kTwoOfficers,
                        const std::string& year = "2028") {
  std::string text = testing::sample_policy_text("serial = 7", "serial = " + std::to_string(serial));
  const std::string end = "expires = \"2027";
  text.replace(text.find(end), end.size(), "expires = \"" + year);
  return text.substr(0, text.find("[approvals]")) + "[approvals]\n" + approvals;
}

class SignedSite {
 public:
  explicit SignedSite(const std::string& approvals = kTwoOfficers, bool with_officers = true)
      : home_(with_officers, policy_text(7, approvals)) {}

  void sign(const std::vector<const OfficerKey*>& officers, std::string_view in, const std::string& text) {
    for (const OfficerKey* officer : officers) {
      const std::filesystem::path file = home_.folder / (officer->name() + ".sig");
      write_text(file, officer->sign(text, std::string(in)));
      signed_.signatures.push_back(file);
    }
  }
  void forget() { signed_.signatures.clear(); }

  template <typename Act>
  auto look(Act&& act) {
    std::optional<decltype(act(std::declval<const Outlook&>()))> out;
    const audit::LogCursor at = audit::find_position(home_.home.log());
    look_ahead(home_.home, at, signed_, {}, home_.host.clock.time, false,
               [&](const Outlook& outlook) { out.emplace(act(outlook)); });
    return std::move(out.value());
  }
  NextPolicy next_policy(const std::string& text) {
    write_text(file_, text);
    return look([&](const Outlook& outlook) { return check_next_policy(outlook, file_); });
  }
  NextPolicy signed_policy(const std::string& text, const std::vector<const OfficerKey*>& by) {
    forget();
    sign(by, kPolicyNamespace, text);
    return next_policy(text);
  }
  std::string next_officers(const std::string& text) {
    write_text(file_, text);
    return look([&](const Outlook& outlook) { return check_next_officers(outlook, file_); });
  }
  NextBundle signed_bundle(const trust::Collateral& bundle, const std::vector<const OfficerKey*>& by,
                           const trust::Trust& trust = {}) {
    const std::string text = trust::encode_collateral(bundle);
    forget();
    sign(by, kTrustNamespace, text);
    write_text(file_, text);
    return look([&](const Outlook& outlook) { return check_next_bundle(outlook, trust, file_); });
  }

  LoggedHome& home() { return home_; }
  [[nodiscard]] const OfficerKey* anna() const { return &home_.anna; }
  [[nodiscard]] const OfficerKey* bela() const { return &home_.bela; }

 private:
  LoggedHome home_;
  approval::ApprovalFiles signed_;
  std::filesystem::path file_ = home_.folder / "next";
};

std::vector<std::string> names_of(const Signers& signers) {
  std::vector<std::string> out;
  for (const approval::Approver& one : signers.approvers) out.push_back(one.name);
  return out;
}

TEST(NextPolicy, ComesWithThoseWhoSignedIt) {
  SignedSite site;
  const OfficerKey stranger("carl");
  const std::string text = policy_text(8);
  const NextPolicy next = site.signed_policy(text, {site.anna(), &stranger, site.bela()});
  EXPECT_EQ(next.text, text);
  EXPECT_EQ(next.serial, 8U);
  EXPECT_THAT(names_of(next.signers), ElementsAre("anna", "bela"));
  EXPECT_EQ(next.signers.signatures.size(), 2U) << "theirs alone are kept";
}

TEST(NextPolicy, HasASerialThatRises) {
  SignedSite site;
  for (const int serial : {6, 7})
    EXPECT_ERROR(Denied, "its serial is " + std::to_string(serial) + ", and must be above 7",
                 site.signed_policy(policy_text(serial), {site.anna(), site.bela()}));
}

TEST(NextPolicy, IsSignedByAsManyAsThePolicyInForceWants) {
  SignedSite site;
  const std::string text = policy_text(8);
  EXPECT_ERROR(ApprovalsMissing,
               "must be signed by 2 officers, in namespace policy@qpcseal; what counts is 1",
               site.signed_policy(text, {site.bela()}));
  EXPECT_ERROR(ApprovalsMissing, "what counts is 1", site.signed_policy(text, {site.bela(), site.bela()}))
      << "nobody counts twice";
  site.forget();
  site.sign({site.anna()}, kPolicyNamespace, text);
  site.sign({site.bela()}, "approval@qpcseal", text);
  EXPECT_ERROR(ApprovalsMissing, "what counts is 1", site.next_policy(text)) << "signed as something else";
  site.forget();
  site.sign({site.anna()}, kPolicyNamespace, text);
  site.sign({site.bela()}, kPolicyNamespace, text + "#\n");
  EXPECT_ERROR(ApprovalsMissing, "what counts is 1", site.next_policy(text)) << "another text";
}

// Else two policies after each other could do with fewer what takes more.
TEST(NextPolicy, IsSignedByAsManyAsAnyOperationNeedsBeforeOrAfter) {
  const std::string one = "release = 1\npolicy-change = 1\n", two = "release = 2\npolicy-change = 2\n";
  for (const auto& [before, after] : {std::pair{one, two}, {two, one}}) {
    SignedSite site(before);
    EXPECT_ERROR(ApprovalsMissing, "must be signed by 2 officers",
                 site.signed_policy(policy_text(8, after), {site.anna()}));
    EXPECT_EQ(site.signed_policy(policy_text(8, after), {site.anna(), site.bela()}).serial, 8U);
  }
  SignedSite site(one);
  EXPECT_EQ(site.signed_policy(policy_text(8, one), {site.anna()}).serial, 8U);
}

TEST(NextPolicy, ComesWhereThePolicyInForceNamesTheChange) {
  SignedSite site("release = 1\n");
  EXPECT_ERROR(Denied, "the policy in force does not allow 'policy-change'",
               site.signed_policy(policy_text(8), {site.anna(), site.bela()}));
}

TEST(NextPolicy, LocksNobodyOut) {
  SignedSite site;
  EXPECT_ERROR(
      Usage, "the officers file lists 2 who may sign in approval@qpcseal now",
      site.signed_policy(policy_text(8, "release = 3\npolicy-change = 2\n"), {site.anna(), site.bela()}));
  EXPECT_ERROR(Denied, "the policy expired at 2027-01-01T00:00:00Z",
               site.signed_policy(policy_text(8, kTwoOfficers, "2027"), {site.anna(), site.bela()}));
}

TEST(NextPolicy, LetsNoFewerPeopleChangeWhatCounts) {
  SignedSite site;
  for (const std::string operation : {"policy-change", "officers-change", "site-change"})
    EXPECT_ERROR(Denied, "'" + operation + "' needs 1 officers",
                 site.signed_policy(policy_text(8, "release = 2\n" + operation + " = 1\n"),
                                    {site.anna(), site.bela()}));
}

TEST(NextOfficers, AreEnoughForThePolicyInForce) {
  SignedSite site;
  const std::string two = site.home().officers_text;
  EXPECT_EQ(site.next_officers(two), two);
  EXPECT_ERROR(Usage, "needs 2 officers", site.next_officers(site.anna()->line(LoggedHome::kAllNamespaces)));
  EXPECT_ERROR(Usage, "'officers-change' needs 2 officers",
               site.next_officers(site.anna()->line("approval@qpcseal,collateral@qpcseal") +
                                  site.bela()->line("approval@qpcseal,collateral@qpcseal")))
      << "of those who sign in its namespace";
  EXPECT_ERROR(Usage, "'trust-import' needs 1 officers",
               site.next_officers(site.anna()->line() + site.bela()->line()));
}

TEST(NextOfficers, AreNotChosenByFewerThanAnyActNeeds) {
  const std::string weak = "release = 2\nofficers-change = 1\n";
  SignedSite site(weak), demo(weak, false);
  EXPECT_ERROR(Denied, "'officers-change' needs 1 officers", site.next_officers(site.home().officers_text));
  EXPECT_NE(demo.next_officers(demo.home().officers_text), "") << "in a demonstration they may be";
}

class NextBundles : public ::testing::Test {
 protected:
  [[nodiscard]] trust::Collateral bundle(std::uint64_t serial = 1) const {
    return {serial, now, now + 86400, {LoggedHome::card().root.der()}, {}, {}, {}};
  }
  SignedSite site;
  UnixTime now = site.home().host.clock.time;
};

TEST_F(NextBundles, ComeWithThoseWhoSignedThem) {
  const NextBundle next = site.signed_bundle(bundle(), {site.bela()});
  EXPECT_EQ(next.bundle.serial, 1U);
  EXPECT_THAT(names_of(next.signers), ElementsAre("bela"));
  EXPECT_ERROR(ApprovalsMissing, "must be signed by 1 officers, in namespace collateral@qpcseal",
               site.signed_bundle(bundle(), {}));
}

TEST_F(NextBundles, HaveSerialsThatRise) {
  audit::Log& log = *site.home().log;
  const std::string digest(64, 'b');
  log.result(log.intent("trust", {{"digest", digest},
                                  {"serial", 4},
                                  {"not_before", 1},
                                  {"not_after", 2},
                                  {"crls", Json::array()},
                                  {"approvers", Json::array()}}),
             "ok", {{"digest", digest}});
  for (const std::uint64_t serial : {3U, 4U})
    EXPECT_ERROR(Denied, "its serial is " + std::to_string(serial) + ", and must be above 4",
                 site.signed_bundle(bundle(serial), {site.bela()}));
  for (const std::uint64_t serial : {4 + kMaxSerialStep + 1, ~std::uint64_t{0}})
    EXPECT_ERROR(Denied, "must be " + std::to_string(4 + kMaxSerialStep) + " at most",
                 site.signed_bundle(bundle(serial), {site.bela()}));
  EXPECT_EQ(site.signed_bundle(bundle(4 + kMaxSerialStep), {site.bela()}).bundle.serial, 4 + kMaxSerialStep);
  EXPECT_EQ(site.signed_bundle(bundle(5), {site.bela()}).bundle.serial, 5U);
}

TEST_F(NextBundles, AreFreshFromTheFirstSecondToBeforeTheLast) {
  trust::Collateral one = bundle();
  one.not_after = now + 1;
  EXPECT_EQ(site.signed_bundle(one, {site.bela()}).bundle.serial, 1U);
  one.not_before = now - 1;
  one.not_after = now;
  EXPECT_ERROR(Denied,
               "the bundle is fresh from 2027-01-15T07:59:59Z to 2027-01-15T08:00:00Z, now it is 2027",
               site.signed_bundle(one, {site.bela()}));
  one.not_before = now + 1;
  one.not_after = now + 2;
  EXPECT_ERROR(Denied, "the bundle is fresh from 2027-01-15T08:00:01Z",
               site.signed_bundle(one, {site.bela()}));
}

TEST_F(NextBundles, TakeARevocationBackByAsManyAsAnyActNeeds) {
  trust::Trust trust;
  trust.collateral.revoked_ueids = {Bytes(7, 1), Bytes(7, 2)};
  trust::Collateral one = bundle();
  one.revoked_ueids = {Bytes(7, 1), Bytes(7, 2), Bytes(7, 3)};
  EXPECT_EQ(site.signed_bundle(one, {site.bela()}, trust).bundle.serial, 1U) << "it revokes one more";
  one.revoked_ueids = {Bytes(7, 1), Bytes(7, 3)};
  EXPECT_ERROR(ApprovalsMissing, "must be signed by 2 officers",
               site.signed_bundle(one, {site.bela()}, trust));
  EXPECT_EQ(site.signed_bundle(one, {site.anna(), site.bela()}, trust).bundle.serial, 1U);
}

}  // namespace
}  // namespace qpcseal::site
