// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/scheme.h"
#include "base/digest.h"
#include "tests/attest/test_card.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::cbor_array;
using qpcseal::testing::cbor_bool;
using qpcseal::testing::cbor_bytes;
using qpcseal::testing::cbor_int;
using qpcseal::testing::cbor_map;
using qpcseal::testing::cbor_text;
using qpcseal::testing::EncodedMap;
using qpcseal::testing::ids;
using qpcseal::testing::kTestNow;
using qpcseal::testing::make_ec_key;
using qpcseal::testing::make_rsa_key;
using qpcseal::testing::TestCard;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Evidence verify(const TestCard& card, ByteView report) {
  return find_scheme("eat-card")->verify(report, card.context());
}

class EatCardTest : public ::testing::Test {
 protected:
  TestCard card;
  // Only what is wrong is found: nothing else, and no claims.
  void expect_only(const std::string& id) {
    const Evidence evidence = verify(card, card.report());
    EXPECT_THAT(ids(evidence.findings), ElementsAre(id));
    EXPECT_FALSE(evidence.claims.has_value());
  }
};

TEST_F(EatCardTest, AGoodReportGivesItsClaims) {
  const Evidence evidence = verify(card, card.report());
  ASSERT_THAT(ids(evidence.findings), IsEmpty());
  ASSERT_TRUE(evidence.claims.has_value());
  const Claims& claims = *evidence.claims;
  EXPECT_EQ(claims.aud, card.aud);
  EXPECT_EQ(claims.nonce, card.nonce);
  EXPECT_EQ(claims.ueid, card.ueid);
  EXPECT_EQ(claims.oemid, 4242U);
  EXPECT_EQ(to_hex(claims.hwmodel.value()), "c0de");
  EXPECT_EQ(claims.hwversion.value().text, "2.1");
  EXPECT_EQ(claims.oemboot, true);
  EXPECT_EQ(claims.dbgstat, 3U);
  EXPECT_EQ(lifecycle_name(claims.lifecycle.value()), "secured");
  ASSERT_EQ(claims.measurements.size(), 2U);
  EXPECT_EQ(claims.measurements[1].name, "firmware");
  EXPECT_EQ(claims.measurements[1].svn, 7U);
  EXPECT_EQ(claims.measurements[1].digest, Bytes(48, 0x22));
  EXPECT_EQ(claims.session_key.value().type, SessionKeyType::P256);
  EXPECT_EQ(claims.session_key.value().public_key, qpcseal::testing::point_of(card.session.get()));
  EXPECT_EQ(evidence.root, sha256(card.root.der()));
  EXPECT_FALSE(evidence.crls_current);
}

// ES384 is not unique: (r, n - s) is a signature too (FORMAT.md section 5). Whoever knows a report by its
// digest has to know that there is another of the same evidence.
TEST_F(EatCardTest, TheTwinOfAReportHasItsClaimsAndAnotherDigest) {
  const Bytes report = card.report();
  Bytes twin = report;
  constexpr std::size_t kHalf = 48;
  const MutableBytes half = MutableBytes(twin).last(kHalf);
  const NumberPtr s(BN_bin2bn(half.data(), kHalf, nullptr)), order(BN_new());
  const Owned<EC_GROUP, EC_GROUP_free> group(EC_GROUP_new_by_curve_name(NID_secp384r1));
  ASSERT_EQ(EC_GROUP_get_order(group.get(), order.get(), nullptr), 1);
  ASSERT_EQ(BN_sub(s.get(), order.get(), s.get()), 1);
  ASSERT_EQ(BN_bn2binpad(s.get(), half.data(), kHalf), static_cast<int>(kHalf));
  ASSERT_NE(sha256(twin), sha256(report));
  const Evidence evidence = verify(card, twin);
  EXPECT_THAT(ids(evidence.findings), IsEmpty());
  ASSERT_TRUE(evidence.claims.has_value());
  EXPECT_EQ(evidence.claims->nonce, card.nonce);
}

TEST_F(EatCardTest, LabelsHoldNothingThatIsNotSeen) {
  for (const char* unseen :
       {"\u009b2J", "\u0085", "\u202e", "\u2066", "\u200f", "\u061c", "\u2028", "\x1b[2J", "\x7f"}) {
    card.set(260, cbor_array({cbor_text(std::string("2.1") + unseen)}));
    const Evidence evidence = verify(card, card.report());
    EXPECT_THAT(ids(evidence.findings), Contains("ATT-HWVERSION"));
    EXPECT_FALSE(evidence.claims.has_value());
  }
  card.set(260, cbor_array({cbor_text("2.1 \u00fc \u4e2d")}));
  EXPECT_THAT(ids(verify(card, card.report()).findings), IsEmpty());
}

TEST_F(EatCardTest, EveryPrefixIsRefused) {
  const Bytes report = card.report();
  for (std::size_t size = 0; size < report.size(); ++size) {
    const Evidence evidence = verify(card, ByteView(report).first(size));
    ASSERT_THAT(ids(evidence.findings), ElementsAre("ATT-COSE")) << size;
  }
}

struct ClaimCase {
  std::int64_t key;
  const char* id;
};
const std::vector<ClaimCase> kRequired = {
    {3, "ATT-AUD"},           {8, "ATT-CNF"},       {10, "ATT-NONCE"},      {256, "ATT-UEID"},
    {258, "ATT-OEMID"},       {259, "ATT-HWMODEL"}, {260, "ATT-HWVERSION"}, {262, "ATT-OEMBOOT"},
    {263, "ATT-DBGSTAT"},     {265, "ATT-PROFILE"}, {268, "ATT-BOOTSEED"},  {273, "ATT-MEASUREMENTS"},
    {-75002, "ATT-LIFECYCLE"}};
const std::vector<ClaimCase> kOptional = {{4, "ATT-EXP"}, {6, "ATT-IAT"}, {266, "ATT-SUBMODS"}};

// Without a ueid the leaf has nothing to agree with, so that is found too.
void expect_claim_finding(const Evidence& evidence, const ClaimCase& claim) {
  EXPECT_FALSE(evidence.claims.has_value()) << claim.id;
  ASSERT_FALSE(evidence.findings.empty()) << claim.id;
  EXPECT_EQ(evidence.findings.front().id, claim.id);
  for (const Finding& finding : evidence.findings) {
    EXPECT_TRUE(finding.id == claim.id || finding.id == "ATT-LEAF-UEID") << claim.id << " and " << finding.id;
  }
}

TEST_F(EatCardTest, EachRequiredClaimMustBeThere) {
  for (const ClaimCase& claim : kRequired) {
    TestCard other;
    other.remove(claim.key);
    expect_claim_finding(verify(other, other.report()), claim);
  }
}

TEST_F(EatCardTest, EachClaimMustHaveItsType) {
  const std::map<std::string, Bytes> values = {{"unsigned", cbor_int(9)}, {"negative", cbor_int(-9)},
                                               {"text", cbor_text("x")},  {"bytes", cbor_bytes(Bytes(33, 1))},
                                               {"bool", cbor_bool(true)}, {"null", from_hex("f6")},
                                               {"array", cbor_array({})}, {"map", cbor_map({})}};
  const std::map<std::int64_t, std::string> fits = {{4, "unsigned"}, {6, "unsigned"},   {10, "bytes"},
                                                    {256, "bytes"},  {258, "unsigned"}, {262, "bool"},
                                                    {268, "bytes"}};
  std::vector<ClaimCase> all = kRequired;
  all.insert(all.end(), kOptional.begin(), kOptional.end());
  for (const ClaimCase& claim : all) {
    for (const auto& [type, value] : values) {
      const auto fit = fits.find(claim.key);
      if (fit != fits.end() && fit->second == type) continue;
      TestCard other;
      other.set(claim.key, value);
      SCOPED_TRACE(type);
      expect_claim_finding(verify(other, other.report()), claim);
    }
  }
}

TEST_F(EatCardTest, AllWrongClaimsAreFoundAtOnce) {
  card.remove(268);
  card.set(263, cbor_int(5));
  card.set(-75002, cbor_int(4));
  card.set(70000, cbor_int(1));
  EXPECT_THAT(ids(verify(card, card.report()).findings),
              ::testing::IsSupersetOf({"ATT-BOOTSEED", "ATT-DBGSTAT", "ATT-LIFECYCLE", "ATT-UNKNOWN-CLAIM"}));
}

TEST_F(EatCardTest, UnknownClaimsAreRefused) {
  card.set(7, cbor_bytes(Bytes(4)));
  const Evidence evidence = verify(card, card.report());
  EXPECT_THAT(ids(evidence.findings), Contains("ATT-UNKNOWN-CLAIM"));
  EXPECT_FALSE(evidence.claims.has_value());
}

TEST_F(EatCardTest, TwoNoncesAreRefused) {
  card.set(10, cbor_array({cbor_bytes(Bytes(32, 1)), cbor_bytes(Bytes(32, 2))}));
  EXPECT_THAT(ids(verify(card, card.report()).findings), Contains("ATT-NONCE"));
}

TEST_F(EatCardTest, UnsortedClaimsAreRefused) {
  cbor::Writer writer;
  writer.map(card.claims.size());
  for (auto it = card.claims.rbegin(); it != card.claims.rend(); ++it)
    writer.encoded(it->first).encoded(it->second);
  EXPECT_THAT(ids(verify(card, card.report_of(writer.data())).findings), Contains("ATT-CBOR"));
}

TEST_F(EatCardTest, ExpiryIsCheckedAgainstTheGivenClock) {
  card.set(4, cbor_int(kTestNow));
  expect_only("ATT-EXPIRED");
  card.set(4, cbor_int(kTestNow + 1));
  EXPECT_TRUE(verify(card, card.report()).claims.has_value());
  card.set(6, cbor_int(kTestNow + 1));
  expect_only("ATT-IAT");
}

TEST_F(EatCardTest, SessionKeysOfAllThreeTypesAreRead) {
  const auto p384 = make_ec_key("P-384");
  card.set_session_key(p384.get());
  EXPECT_EQ(verify(card, card.report()).claims->session_key.value().type, SessionKeyType::P384);
  const auto rsa = make_rsa_key(3072);
  card.set_session_key(rsa.get());
  const Evidence evidence = verify(card, card.report());
  ASSERT_TRUE(evidence.claims.has_value());
  EXPECT_EQ(evidence.claims->session_key.value().type, SessionKeyType::Rsa);
  EXPECT_NO_THROW(check_session_key(evidence.claims->session_key.value()));
}

TEST_F(EatCardTest, SubmodulesAreRead) {
  const Bytes measurements =
      cbor_array({qpcseal::testing::encode_measurement(qpcseal::testing::sample_measurement("nsp", 5, 1))});
  const Bytes set = cbor_map({{cbor_int(263), cbor_int(4)}, {cbor_int(273), measurements}});
  card.set(266, cbor_map({{cbor_text("soc1"), set}}));
  const Evidence evidence = verify(card, card.report());
  ASSERT_TRUE(evidence.claims.has_value());
  ASSERT_EQ(evidence.claims->submods.size(), 1U);
  EXPECT_EQ(evidence.claims->submods[0].name, "soc1");
  EXPECT_EQ(evidence.claims->submods[0].dbgstat, 4U);
  card.set(266, cbor_map({{cbor_text("soc1"), cbor_map({{cbor_int(273), measurements}})}}));
  EXPECT_THAT(ids(verify(card, card.report()).findings), Contains("ATT-SUBMODS"));
}

TEST_F(EatCardTest, AnotherKeysSignatureIsRefused) {
  const Bytes report = qpcseal::testing::make_sign1({61, 18}, cbor_map(card.protected_header), cbor_map({}),
                                                    cbor_map(card.claims), card.issuer.key.get());
  EXPECT_THAT(ids(verify(card, report).findings), ElementsAre("ATT-SIGNATURE"));
}

TEST_F(EatCardTest, ReportsHaveAtMost64KiB) {
  for (const std::size_t size : {kMaxReport, kMaxReport + 1}) {
    const Findings found = verify(card, Bytes(size)).findings;
    ASSERT_THAT(ids(found), ElementsAre("ATT-COSE"));
    EXPECT_EQ(found.front().observed == "more than 64 KiB", size > kMaxReport) << found.front().observed;
  }
}

TEST_F(EatCardTest, TagsAreRequired) {
  for (const std::vector<std::uint64_t>& tags :
       {std::vector<std::uint64_t>{}, {18}, {61}, {18, 61}, {61, 98}, {61, 61, 18}}) {
    const Bytes report = qpcseal::testing::make_sign1(tags, cbor_map(card.protected_header), cbor_map({}),
                                                      cbor_map(card.claims), card.leaf.key.get());
    EXPECT_THAT(ids(verify(card, report).findings), ElementsAre("ATT-COSE"));
  }
}

TEST_F(EatCardTest, HeadersAreExactlyThoseOfTheProfile) {
  for (const auto& [key, value] : EncodedMap{{cbor_int(2), cbor_array({cbor_int(1)})},
                                             {cbor_int(4), cbor_bytes(Bytes(2))},
                                             {cbor_text("x"), cbor_int(1)}}) {
    TestCard other;
    other.protected_header[key] = value;
    EXPECT_THAT(ids(verify(other, other.report()).findings), ElementsAre("ATT-COSE"));
    const Bytes report =
        qpcseal::testing::make_sign1({61, 18}, cbor_map(card.protected_header), cbor_map({{key, value}}),
                                     cbor_map(card.claims), card.leaf.key.get());
    EXPECT_THAT(ids(verify(card, report).findings), ElementsAre("ATT-COSE"));
  }
  card.protected_header[cbor_int(3)] = cbor_int(61);
  EXPECT_THAT(ids(verify(card, card.report()).findings), ElementsAre("ATT-COSE"));
}

TEST_F(EatCardTest, InspectShowsClaimsWithoutTrust) {
  Bytes report = card.report();
  report.back() ^= 1;
  EXPECT_TRUE(find_scheme("eat-card")->inspect(report).claims.has_value());
  EXPECT_FALSE(verify(card, report).claims.has_value());
}

TEST(Schemes, AreFoundByIdOnly) {
  EXPECT_NE(find_scheme("eat-card"), nullptr);
  EXPECT_EQ(find_scheme("EAT-CARD"), nullptr);
  EXPECT_EQ(find_scheme(""), nullptr);
}

}  // namespace
}  // namespace qpcseal::attest
