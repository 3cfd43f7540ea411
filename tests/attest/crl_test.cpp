// SPDX-License-Identifier: Apache-2.0
// Which revocation lists are taken, and what a path makes of several.
#include "attest/crl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/certpath.h"
#include "base/digest.h"
#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::CrlSpec;
using qpcseal::testing::ids;
using qpcseal::testing::kDay;
using qpcseal::testing::kTestNow;
using qpcseal::testing::make_crl;
using qpcseal::testing::make_ec_key;
using qpcseal::testing::make_identity;
using qpcseal::testing::make_rsa_key;
using qpcseal::testing::RawExtension;
using qpcseal::testing::TestCard;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kCertificateIssuer = "2.5.29.29";

class Revocation : public ::testing::Test {
 protected:
  TestCard card;
  TrustAnchors anchors = card.context().anchors;

  [[nodiscard]] PathResult verify() const {
    const Bytes leaf = card.leaf.der(), issuer = card.issuer.der();
    return verify_path({leaf, issuer}, anchors, {.identity = to_hex(card.ueid)}, kTestNow);
  }
  std::vector<std::string> with(std::vector<Bytes> crls) {
    anchors.crls = std::move(crls);
    return ids(verify().findings);
  }
  [[nodiscard]] Bytes list(const CrlSpec& spec) const { return make_crl(card.issuer, spec); }
  // What a list of this kind comes to where it is read, and in a path, alone and beside a complete one.
  void expect_refused(const CrlSpec& spec, const std::string& id) {
    const Bytes der = list(spec);
    EXPECT_THAT(with({der}), ElementsAre(id));
    EXPECT_FALSE(verify().crls_current);
    EXPECT_THAT(with({make_crl(card.issuer, {.number = 40}), make_crl(card.root, {}), der}), ElementsAre(id));
    EXPECT_FALSE(verify().crls_current);
    try {
      static_cast<void>(read_crl(der));
      FAIL() << "read: " << id;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Malformed);
      EXPECT_THAT(ids(error.findings()), ElementsAre(id));
      EXPECT_THAT(error.what(), HasSubstr("CRL of /CN=Test issuer"));
      EXPECT_EQ(error.findings()[0].claim, "CRL of /CN=Test issuer");
    }
  }
};

TEST_F(Revocation, RefusesADelta) { expect_refused({.number = 11, .base = 10}, "ATT-CRL-SCOPE"); }

TEST_F(Revocation, RefusesAListOfAPartOrOfOtherIssuers) {
  for (const char* scope : {"indirectCRL:TRUE", "onlysomereasons:keyCompromise", "onlyuser:TRUE",
                            "onlyCA:TRUE", "onlyAA:TRUE", "fullname:URI:http://lists.example/1"}) {
    SCOPED_TRACE(scope);
    expect_refused({.more = {{NID_issuing_distribution_point, std::string("critical,") + scope}}},
                   "ATT-CRL-SCOPE");
    expect_refused({.more = {{NID_issuing_distribution_point, scope}}}, "ATT-CRL-SCOPE");  // not critical
  }
  const TestCard other;
  const Bytes name = read_crl(make_crl(other.root, {})).issuer;
  Bytes names = {0x30, static_cast<std::uint8_t>(name.size() + 2), 0xa4,
                 static_cast<std::uint8_t>(name.size())};
  append(names, name);
  for (const bool critical : {true, false})
    expect_refused({.revoked = {&other.leaf}, .of_entries = {{kCertificateIssuer, critical, names}}},
                   "ATT-CRL-SCOPE");
}

// An indirect list has an issuer of its own, which is on no path; what it says of others must not be lost.
TEST_F(Revocation, AListThatCannotBeUsedIsAFindingWhoeverIssuedIt) {
  const TestCard other;
  EXPECT_THAT(with({make_crl(other.issuer, {.base = 1})}), ElementsAre("ATT-CRL-SCOPE"));
  ASSERT_THAT(with({copy(view("no list"))}), ElementsAre("ATT-CRL"));
  EXPECT_THAT(verify().findings[0].claim, HasSubstr(sha256_hex("no list")));
}

TEST_F(Revocation, RefusesCriticalExtensionsOfListsAndEntries) {
  const TestCard other;
  expect_refused({.raw = {{.critical = true}}}, "ATT-CRL");
  expect_refused({.revoked = {&other.leaf}, .of_entries = {{.critical = true}}}, "ATT-CRL");
  EXPECT_THAT(with({list({.raw = {{.critical = false}}})}), IsEmpty());
  EXPECT_THAT(with({list({.revoked = {&other.leaf}, .of_entries = {{.critical = false}}})}), IsEmpty());
}

TEST_F(Revocation, RefusesDigestsBelowSha256) {
  for (const char* digest : {"SHA1", "SHA224"}) expect_refused({.digest = digest}, "ATT-CRL-DIGEST");
  for (const char* digest : {"SHA256", "SHA384", "SHA512"})
    EXPECT_THAT(with({list({.digest = digest})}), IsEmpty());
}

TEST_F(Revocation, RefusesWeakDigestsOfRsaSignaturesAndOfTheirParameters) {
  card.issuer = make_identity(TestCard::issuer_spec(), make_rsa_key(3072), &card.root);
  card.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &card.issuer);
  for (const char* digest : {"MD5", "SHA1", "SHA224"}) expect_refused({.digest = digest}, "ATT-CRL-DIGEST");
  expect_refused({.digest = "SHA1", .pss = "SHA1"}, "ATT-CRL-DIGEST");
  expect_refused({.digest = "SHA224", .pss = "SHA256"}, "ATT-CRL-DIGEST");
  expect_refused({.digest = "SHA256", .pss = "SHA1"}, "ATT-CRL-DIGEST");
  expect_refused({.digest = "SHA256", .pss = "SHA224"}, "ATT-CRL-DIGEST");
  EXPECT_THAT(with({list({.digest = "SHA256", .pss = "SHA256"})}), IsEmpty());
  EXPECT_THAT(with({list({.digest = "SHA256"})}), IsEmpty());
}

TEST_F(Revocation, AnEntryInAnyListOfTheIssuerCounts) {
  const Bytes revoking = list({.revoked = {&card.leaf}, .number = 10}),
              newer = list({.number = 11, .this_update = kTestNow - kDay / 2});
  EXPECT_THAT(with({revoking}), ElementsAre("ATT-REVOKED"));
  EXPECT_THAT(with({revoking, newer}), ElementsAre("ATT-REVOKED"));
  ASSERT_THAT(with({newer, revoking}), ElementsAre("ATT-REVOKED"));
  EXPECT_THAT(verify().findings[0].observed, HasSubstr("list 0x0a of /CN=Test issuer"));
  EXPECT_THAT(with({newer}), IsEmpty());
  EXPECT_THAT(with({make_crl(card.root, {.revoked = {&card.issuer}})}), ElementsAre("ATT-REVOKED"));
  EXPECT_THAT(with({make_crl(card.root, {.revoked = {&card.leaf}})}), IsEmpty());  // that number, of its own
}

TEST_F(Revocation, EveryReasonRevokes) {
  for (const long reason : {0L, 1L, 6L, 8L, 10L}) {  // certificateHold is 6, removeFromCRL 8
    const CrlSpec spec{.revoked = {&card.leaf}, .reason = reason};
    EXPECT_THAT(with({list(spec)}), ElementsAre("ATT-REVOKED")) << reason;
  }
}

TEST_F(Revocation, TheHighestNumberCountsNotTheLatestDate) {
  const Bytes higher = list({.number = 11, .this_update = kTestNow - 3 * kDay, .next_update = kTestNow - 1}),
              later = list({.number = 10});
  EXPECT_THAT(with({higher, later}), ElementsAre("ATT-CRL-STALE"));
  EXPECT_THAT(with({list({.number = 11}), list({.number = 10, .next_update = kTestNow - 1})}), IsEmpty());
  anchors.crl_floors = raised({}, {list({.number = 11})});
  EXPECT_THAT(with({list({.number = 11}), later}), IsEmpty());  // the older one beside it adds entries alone
  EXPECT_THAT(with({later}), ElementsAre("ATT-CRL-ROLLBACK"));
}

TEST_F(Revocation, TwoListsOfOneNumberAreRefused) {
  const TestCard other;
  const Bytes one = list({}), two = list({.revoked = {&other.leaf}});
  EXPECT_THAT(with({one, two}), Each("ATT-CRL"));
  EXPECT_FALSE(verify().findings.empty());
  EXPECT_THAT(with({one, one}), IsEmpty());
  EXPECT_ERROR(Malformed, "have the number 0x01", check_lists({one, two}));
  EXPECT_NO_THROW(check_lists({one, one, list({.number = 2}), make_crl(other.root, {})}));
  ASSERT_EQ(newest({one, list({.number = 3}), list({.number = 2})}).size(), 1U);
  EXPECT_EQ(newest({one, list({.number = 3}), list({.number = 2})})[0].number, Bytes{3});
}

TEST_F(Revocation, AnIssuerWithoutCrlSignSignsNoList) {
  auto spec = TestCard::issuer_spec();
  spec.key_usage = "critical,keyCertSign";
  card.issuer = make_identity(spec, make_ec_key("P-384"), &card.root);
  card.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(with({list({})}), ElementsAre("ATT-CRL"));
}

TEST(Crls, AreOneDerListWithNumberAndEnd) {
  const TestCard card;
  const Bytes good = make_crl(card.issuer, {.number = 300});
  const CrlInfo info = read_crl(good);
  EXPECT_EQ(to_hex(info.number), "012c");
  EXPECT_EQ(info.this_update, kTestNow - kDay);
  EXPECT_EQ(info.next_update, kTestNow + kDay);
  EXPECT_EQ(info.issuer_text, "/CN=Test issuer");
  EXPECT_TRUE(read_crl(make_crl(card.issuer, {.number = 0})).number.empty());
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_ERROR(Malformed, "not one DER CRL", read_crl(longer));
  EXPECT_ERROR(Malformed, "not one DER CRL", read_crl(ByteView(good).first(good.size() - 1)));
  EXPECT_ERROR(Malformed, "not one DER CRL", read_crl(card.issuer.der()));
  EXPECT_ERROR(Malformed, "not one DER CRL", read_crl({}));
  EXPECT_ERROR(Malformed, "negative", read_crl(make_crl(card.issuer, {.number = -1})));
  EXPECT_ERROR(Malformed, "no crlNumber", read_crl(make_crl(card.issuer, {.number = std::nullopt})));
  EXPECT_ERROR(Malformed, "nextUpdate", read_crl(make_crl(card.issuer, {.next_update = std::nullopt})));
}

TEST(CrlNumbers, OnlyRise) {
  const TestCard card;
  const CrlNumbers first =
      raised({}, {make_crl(card.root, {.number = 7}), make_crl(card.issuer, {.number = 256})});
  ASSERT_EQ(first.size(), 2U);
  const CrlNumbers lower =
      raised(first, {make_crl(card.root, {.number = 6}), make_crl(card.issuer, {.number = 255})});
  EXPECT_EQ(lower, first);
  const Findings findings = check_crl_floors({make_crl(card.issuer, {.number = 255})}, first);
  ASSERT_THAT(ids(findings), ElementsAre("ATT-CRL-ROLLBACK"));
  EXPECT_EQ(findings[0].observed, "0xff");
  EXPECT_THAT(findings[0].expected, ::testing::HasSubstr("0x0100"));
  EXPECT_NE(raised(first, {make_crl(card.root, {.number = 8})}), first);
  EXPECT_ERROR(Malformed, "crlNumber", raised({}, {make_crl(card.root, {.number = std::nullopt})}));
  EXPECT_TRUE(crl_number_less({}, {0x01}));
  EXPECT_FALSE(crl_number_less({0x01}, {0x01}));
  EXPECT_FALSE(crl_number_less({0x01, 0x00}, {0xff}));
}

}  // namespace
}  // namespace qpcseal::attest
