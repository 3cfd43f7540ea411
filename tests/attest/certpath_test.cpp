// What the path checks do that no report of a whole card shows: keys of other kinds, and lists that go back.
#include "attest/certpath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::CrlSpec;
using qpcseal::testing::Identity;
using qpcseal::testing::ids;
using qpcseal::testing::kDay;
using qpcseal::testing::kTestNow;
using qpcseal::testing::make_crl;
using qpcseal::testing::make_ec_key;
using qpcseal::testing::make_explicit_ec_key;
using qpcseal::testing::make_identity;
using qpcseal::testing::TestCard;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Path : public ::testing::Test {
 protected:
  TestCard card;
  TrustAnchors anchors = card.context().anchors;
  [[nodiscard]] PathResult verify() const {
    const Bytes leaf = card.leaf.der(), issuer = card.issuer.der();
    return verify_path({leaf, issuer}, anchors, {.identity = to_hex(card.ueid)}, kTestNow);
  }
};

TEST_F(Path, IssuersHaveKeysOfKnownKinds) {
  EXPECT_THAT(ids(verify().findings), IsEmpty());
  card.issuer = make_identity({.common_name = "Test issuer"}, make_ec_key("brainpoolP384r1"), &card.root);
  card.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(ids(verify().findings), ElementsAre("ATT-CHAIN-KEY"));
}

TEST_F(Path, CurvesAreNamedNotWrittenOut) {
  card.issuer = make_identity(TestCard::issuer_spec(), make_explicit_ec_key("P-384"), &card.root);
  card.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(ids(verify().findings), ElementsAre("ATT-CHAIN"));
  PathProfile profile{.identity = to_hex(card.ueid), .strict = false};
  const auto lax = [&] {
    const Bytes leaf = card.leaf.der(), issuer_der = card.issuer.der();
    return ids(verify_path({leaf, issuer_der}, anchors, profile, kTestNow).findings);
  };
  EXPECT_THAT(lax(), ElementsAre("ATT-CHAIN"));
  card.issuer = make_identity(TestCard::issuer_spec(), make_ec_key("P-384"), &card.root);
  card.leaf = make_identity(card.leaf_spec(), make_explicit_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(lax(), ElementsAre("ATT-LEAF-KEY", "ATT-CHAIN"));
}

TEST_F(Path, AnOlderListThanOneAcceptedIsRefused) {
  const auto list = [&](long number) { return make_crl(card.issuer, {.number = number}); };
  anchors.crls = {list(300)};
  EXPECT_THAT(ids(verify().findings), IsEmpty());
  anchors.crl_floors = raised({}, anchors.crls);
  EXPECT_THAT(ids(verify().findings), IsEmpty());
  for (const long number : {1L, 255L, 299L}) {  // of one byte and of two
    anchors.crls = {list(number)};
    EXPECT_THAT(ids(verify().findings), ElementsAre("ATT-CRL-ROLLBACK")) << number;
  }
  anchors.crls = {list(301)};
  EXPECT_THAT(ids(verify().findings), IsEmpty());
}

// What was parsed before serves other paths, and decides nothing for them.
TEST_F(Path, WhatIsParsedOnceIsJudgedEachTime) {
  const Bytes leaf = card.leaf.der(), issuer = card.issuer.der();
  const auto at = [&](UnixTime now) {
    return ids(verify_path({leaf, issuer}, anchors, {.identity = to_hex(card.ueid)}, now).findings);
  };
  EXPECT_THAT(at(kTestNow), IsEmpty());
  EXPECT_THAT(at(kTestNow + 31 * kDay), ElementsAre("ATT-CHAIN-TIME"));
  anchors.crls = {make_crl(card.issuer, {})};
  EXPECT_THAT(at(kTestNow), IsEmpty());
  EXPECT_THAT(at(kTestNow + 2 * kDay), ElementsAre("ATT-CRL-STALE"));
  EXPECT_THAT(at(kTestNow), IsEmpty());
  TrustAnchors without = anchors;  // shares what was parsed
  without.roots.clear();
  EXPECT_THAT(ids(verify_path({leaf, issuer}, without, {.identity = to_hex(card.ueid)}, kTestNow).findings),
              ElementsAre("ATT-CHAIN-ROOT"));
  anchors.allowed.clear();
  EXPECT_THAT(at(kTestNow), ElementsAre("ATT-CHAIN-ROOT"));
  anchors.allowed = {sha256(card.root.der())};
  anchors.crls = {make_crl(card.issuer, {.revoked = {&card.leaf}, .number = 2})};
  EXPECT_THAT(at(kTestNow), ElementsAre("ATT-REVOKED"));
  // An issuer of the same name with another key did not sign the list that its namesake signed.
  anchors.crls = {make_crl(card.issuer, {})};
  EXPECT_THAT(at(kTestNow), IsEmpty());
  card.issuer = make_identity(TestCard::issuer_spec(), make_ec_key("P-384"), &card.root);
  card.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(ids(verify().findings), Contains("ATT-CRL"));
}

TEST_F(Path, ListsOfOtherIssuersDoNotCount) {
  const TestCard other;
  anchors.crl_floors = raised({}, {make_crl(card.root, {.number = 9})});
  anchors.crls = {make_crl(card.issuer, {.number = 1})};
  EXPECT_THAT(ids(verify().findings), IsEmpty());
  EXPECT_FALSE(verify().crls_current);  // none from the root
  anchors.crls.push_back(make_crl(card.root, {.number = 9}));
  EXPECT_TRUE(verify().crls_current);
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
