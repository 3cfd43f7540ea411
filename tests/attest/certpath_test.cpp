// SPDX-License-Identifier: Apache-2.0
// What the path checks do that no report of a whole card shows: keys of other kinds, and lists that go back.
#include "attest/certpath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::CertSpec;
using qpcseal::testing::CrlSpec;
using qpcseal::testing::Identity;
using qpcseal::testing::ids;
using qpcseal::testing::kDay;
using qpcseal::testing::kTestNow;
using qpcseal::testing::make_crl;
using qpcseal::testing::make_ec_key;
using qpcseal::testing::make_explicit_ec_key;
using qpcseal::testing::make_identity;
using qpcseal::testing::make_rsa_key;
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

TEST_F(Path, IssuersMayHaveRsaKeysOf3072BitsAndOtherNistCurves) {
  const auto with = [&](KeyPtr key) {
    card.issuer = make_identity({.common_name = "Test issuer"}, std::move(key), &card.root);
    card.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &card.issuer);
    return ids(verify().findings);
  };
  EXPECT_THAT(with(make_rsa_key(3072)), IsEmpty());
  EXPECT_THAT(with(make_ec_key("P-256")), IsEmpty());
  EXPECT_THAT(with(make_ec_key("P-521")), IsEmpty());
  EXPECT_THAT(with(make_rsa_key(2048)), ElementsAre("ATT-CHAIN"));  // OpenSSL's level of 128 bits
  EXPECT_THAT(with(make_rsa_key(3071)), ElementsAre("ATT-CHAIN-KEY"));
  EXPECT_THAT(with(make_ec_key("P-224")), ElementsAre("ATT-CHAIN"));
}

TEST_F(Path, HasSixCertificatesWithTheRootAndNoMore) {
  const auto of = [&](std::size_t intermediates) {
    std::vector<Identity> issuers;
    for (std::size_t i = 0; i < intermediates; ++i)
      issuers.push_back(make_identity({.common_name = "issuer " + std::to_string(i)}, make_ec_key("P-384"),
                                      issuers.empty() ? &card.root : &issuers.back()));
    const Identity leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &issuers.back());
    std::vector<Bytes> chain = {leaf.der()};
    for (auto it = issuers.rbegin(); it != issuers.rend(); ++it) chain.push_back(it->der());
    const std::vector<ByteView> views(chain.begin(), chain.end());
    return ids(verify_path(views, anchors, {.identity = to_hex(card.ueid)}, kTestNow).findings);
  };
  EXPECT_THAT(of(4), IsEmpty());
  EXPECT_THAT(of(5), ElementsAre("ATT-CHAIN"));  // six are given, and the root is the seventh
  EXPECT_THAT(of(6), ElementsAre("ATT-CHAIN"));
  EXPECT_THAT(ids(verify_path({}, anchors, {}, kTestNow).findings), ElementsAre("ATT-CHAIN"));
}

TEST_F(Path, TheLeafNamesOneIdentity) {
  CertSpec twice = card.leaf_spec();
  twice.serial_number_again = twice.serial_number;
  card.leaf = make_identity(twice, make_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(ids(verify().findings), ElementsAre("ATT-LEAF-UEID"));
  twice.serial_number_again = "0102030405060708090b";
  card.leaf = make_identity(twice, make_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(ids(verify().findings), ElementsAre("ATT-LEAF-UEID"));
  twice = card.leaf_spec();
  twice.serial_number = *twice.serial_number + "00";
  card.leaf = make_identity(twice, make_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(ids(verify().findings), ElementsAre("ATT-LEAF-UEID"));
  twice.serial_number.reset();
  card.leaf = make_identity(twice, make_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(ids(verify().findings), ElementsAre("ATT-LEAF-UEID"));
  const Bytes leaf = card.leaf.der(), issuer = card.issuer.der();
  EXPECT_THAT(ids(verify_path({leaf, issuer}, anchors, {.identity = ""}, kTestNow).findings),
              ElementsAre("ATT-LEAF-UEID"));  // nobody's name is no name
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

Bytes forged(Bytes der) {
  der.back() ^= 1;  // in the signature
  return der;
}

TEST_F(Path, AnIntermediateIsVerifiedOnceForTheSameBytes) {
  for (int i = 0; i < 3; ++i) EXPECT_THAT(ids(verify().findings), IsEmpty());
  EXPECT_EQ(anchors.parsed->verified(), 1U);
  card.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &card.issuer);
  EXPECT_THAT(ids(verify().findings), IsEmpty());
  EXPECT_EQ(anchors.parsed->verified(), 1U);
}

TEST_F(Path, AForgedSignatureIsRefusedWhateverWasVerifiedBefore) {
  const Bytes leaf = card.leaf.der(), issuer = card.issuer.der();
  const auto with = [&](const Bytes& one, const Bytes& other) {
    return ids(verify_path({one, other}, anchors, {.identity = to_hex(card.ueid)}, kTestNow).findings);
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(with(leaf, forged(issuer)), ElementsAre("ATT-CHAIN"));
    EXPECT_THAT(with(leaf, issuer), IsEmpty());
    EXPECT_THAT(with(forged(leaf), issuer), ElementsAre("ATT-CHAIN"));
  }
  // Signed by another key under the same issuer's name.
  const Identity other = make_identity(TestCard::issuer_spec(), make_ec_key("P-384"), &card.root);
  const Identity stranger = make_identity(card.leaf_spec(), make_ec_key("P-384"), &other);
  EXPECT_THAT(with(stranger.der(), issuer), Contains(::testing::StartsWith("ATT-CHAIN")));
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
  EXPECT_EQ(verify().crls, raised({}, anchors.crls));  // what a release writes into the log
}

TEST_F(Path, CriticalExtensionsThatNobodyEvaluatesAreRefused) {
  const auto issuer_with = [&](int nid, const std::string& text) {
    CertSpec spec = TestCard::issuer_spec();
    spec.more = {{nid, text}};
    card.issuer = make_identity(spec, make_ec_key("P-384"), &card.root);
    card.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &card.issuer);
    return ids(verify().findings);
  };
  EXPECT_THAT(issuer_with(NID_policy_constraints, "critical,requireExplicitPolicy:0"),
              ElementsAre("ATT-CHAIN-EXTENSION"));
  EXPECT_THAT(issuer_with(NID_inhibit_any_policy, "critical,0"), ElementsAre("ATT-CHAIN-EXTENSION"));
  EXPECT_THAT(issuer_with(NID_policy_mappings, "critical,1.2.3:1.2.4"), ElementsAre("ATT-CHAIN-EXTENSION"));
  EXPECT_THAT(issuer_with(NID_certificate_policies, "critical,1.2.3"), ElementsAre("ATT-CHAIN-EXTENSION"));
  EXPECT_THAT(issuer_with(NID_crl_distribution_points, "critical,URI:http://lists.example/1"),
              ElementsAre("ATT-CHAIN-EXTENSION"));
  EXPECT_THAT(issuer_with(NID_certificate_policies, "1.2.3"), IsEmpty());
}

// OpenSSL evaluates them on every path: names of other trees are refused, and the card's own are not.
TEST_F(Path, NameConstraintsAreEvaluated) {
  const auto permitted = [&](const std::string& dns) {
    CertSpec spec = TestCard::issuer_spec();
    spec.more = {{NID_name_constraints, "critical,permitted;DNS:" + dns}};
    card.issuer = make_identity(spec, make_ec_key("P-384"), &card.root);
    CertSpec leaf = card.leaf_spec();
    leaf.more = {{NID_subject_alt_name, "DNS:card.maker.example"}};
    card.leaf = make_identity(leaf, make_ec_key("P-384"), &card.issuer);
    return ids(verify().findings);
  };
  EXPECT_THAT(permitted("maker.example"), IsEmpty());
  EXPECT_THAT(permitted("other.example"), ElementsAre("ATT-CHAIN"));
}

}  // namespace
}  // namespace qpcseal::attest
