// SPDX-License-Identifier: Apache-2.0
// The other ways to break a report that is released: its bits, its certificates, the challenge it answers,
// and the policy it is held against.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "tests/release/judged.h"

namespace qpcseal::testing {
namespace {

using Ids = std::set<std::string>;

// Not re-signed: what does not fall to the reader or to the path falls to the signature. Every `step`th bit
// from the `first` on.
void flip_bits(const std::function<void(ByteView, const std::string&, std::size_t)>& note, Bytes report,
               std::size_t first, std::size_t step) {
  for (std::size_t bit = first; bit < report.size() * 8; bit += step) {
    const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
    report[bit / 8] ^= mask;
    note(report, "bit " + std::to_string(bit), bit);
    report[bit / 8] ^= mask;
  }
}

// All bits, in parts that run side by side.
class BitCampaign : public ::testing::TestWithParam<std::size_t> {};
constexpr std::size_t kParts = 6;
INSTANTIATE_TEST_SUITE_P(Part, BitCampaign, ::testing::Range(std::size_t{0}, kParts));

const Ids kReaders = {"ATT-COSE", "ATT-SIGNATURE"};

TEST_P(BitCampaign, EachOfACardsReport) {
  const TestCard card;
  const PolicyFixture desk = desk_for(card);
  ASSERT_TRUE(desk.judge(card.report()).released);
  MutantCounter tally;
  flip_bits([&](ByteView report, const std::string& what,
                std::size_t) { tally.note(desk.judge(report), kReaders, what); },
            card.report(), GetParam(), kParts);
  EXPECT_GT(tally.mutants(), 2000);
  tally.print("bits of eat-card, from " + std::to_string(GetParam()) + " in steps of 6");
}

// Without a root, which spares the issuers' signatures; every 61st bit also with it.
TEST_P(BitCampaign, EachOfANitroDocument) {
  const TestEnclave enclave;
  const PolicyFixture desk = desk_for(enclave);
  PolicyFixture rootless = desk;
  rootless.trust.roots.clear();
  ASSERT_TRUE(desk.judge(enclave.report()).released);
  ASSERT_EQ(rootless.judge(enclave.report()).ids, Ids{"ATT-CHAIN-ROOT"});
  MutantCounter tally;
  flip_bits(
      [&](ByteView report, const std::string& what, std::size_t bit) {
        tally.note(rootless.judge(report), kReaders, what);
        if (bit % 61 == 0) tally.note(desk.judge(report), kReaders, what);
      },
      enclave.report(), GetParam(), kParts);
  EXPECT_GT(tally.mutants(), 2000);
  tally.print("bits of aws-nitro, from " + std::to_string(GetParam()) + " in steps of 6");
}

class Certificates : public ::testing::Test {
 protected:
  TestCard card;
  PolicyFixture desk = desk_for(card);
  MutantCounter tally;

  void SetUp() override { ASSERT_TRUE(desk.judge(card.report()).released); }
  void TearDown() override { tally.print("certificates"); }
  void note(const TestCard& mutant, const Ids& expected, const std::string& what) {
    tally.note(desk.judge(mutant.report()), expected, what);
  }
  // The card with another leaf, whose key signs.
  void leaf(const CertSpec& spec, const char* curve, const Identity& issuer, const Ids& expected,
            const std::string& what) {
    TestCard mutant = fresh();
    mutant.leaf = make_identity(spec, make_ec_key(curve), &issuer);
    mutant.set_chain({mutant.leaf.der(), card.issuer.der()});
    note(mutant, expected, what);
  }
  // Another issuer under the same root, with a new leaf.
  void issuer(const CertSpec& spec, const Ids& expected, const std::string& what) {
    TestCard mutant = fresh();
    mutant.issuer = make_identity(spec, make_ec_key("P-384"), &card.root);
    mutant.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &mutant.issuer);
    mutant.set_chain({mutant.leaf.der(), mutant.issuer.der()});
    note(mutant, expected, what);
  }
  // Another card's parts, with this card's claims.
  [[nodiscard]] TestCard fresh() const {
    TestCard out;
    out.claims = card.claims;
    return out;
  }
};

TEST_F(Certificates, OrderAndNumber) {
  const Bytes leaf = card.leaf.der(), issuer = card.issuer.der(), root = card.root.der();
  const TestCard stranger;
  const std::vector<std::pair<std::vector<Bytes>, Ids>> chains = {
      {{}, {"ATT-COSE"}},
      {{leaf}, {"ATT-CHAIN-ROOT"}},
      {{issuer}, {"ATT-LEAF-CA"}},
      {{issuer, leaf}, {"ATT-LEAF-CA"}},
      {{root}, {"ATT-LEAF-CA"}},
      {{leaf, root}, {"ATT-CHAIN-ROOT"}},
      {{leaf, leaf, issuer}, {"ATT-CHAIN-ORDER"}},
      {{leaf, issuer, issuer}, {"ATT-CHAIN-ORDER"}},
      {{leaf, root, issuer}, {"ATT-CHAIN-ORDER"}},
      {{leaf, issuer, stranger.root.der()}, {"ATT-CHAIN-ORDER"}},
      {{leaf, issuer, stranger.leaf.der()}, {"ATT-CHAIN-ORDER"}},
      {{leaf, issuer, root, stranger.issuer.der()}, {"ATT-CHAIN-ORDER"}},
      {{leaf, stranger.issuer.der()}, {"ATT-CHAIN-ROOT", "ATT-CHAIN"}},
      {{stranger.leaf.der(), issuer}, {"ATT-CHAIN-ROOT", "ATT-CHAIN"}},
      {{stranger.leaf.der(), stranger.issuer.der()}, {"ATT-CHAIN-ROOT"}},
      {{stranger.leaf.der(), stranger.issuer.der(), stranger.root.der()}, {"ATT-CHAIN-ROOT"}},
      {{leaf, issuer, root, root, root, root}, {"ATT-COSE"}},
      {{Bytes{}}, {"ATT-CHAIN"}},
      {{leaf, Bytes{}}, {"ATT-CHAIN"}}};
  for (const auto& [chain, expected] : chains) {
    card.set_chain(chain);
    note(card, expected, std::to_string(chain.size()) + " certificates");
  }
  for (std::size_t size = 0; size < leaf.size(); size += 7) {
    card.set_chain({copy(ByteView(leaf).first(size)), issuer});
    note(card, {"ATT-CHAIN"}, "a leaf cut short");
  }
  card.set_chain({leaf, issuer, root});
  EXPECT_TRUE(desk.judge(card.report()).released);  // the root may come along
}

TEST_F(Certificates, EveryBitOfTheLeafSignedAnew) {
  Bytes leaf = card.leaf.der();
  for (std::size_t bit = 0; bit < leaf.size() * 8; ++bit) {
    leaf[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    card.set_chain({leaf, card.issuer.der()});
    tally.note(desk.judge(card.report()),
               {"ATT-CHAIN", "ATT-CHAIN-ROOT", "ATT-CHAIN-TIME", "ATT-CHAIN-ORDER", "ATT-SIGNATURE"},
               "bit " + std::to_string(bit));
    leaf[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  }
}

TEST_F(Certificates, LeavesThatAreNone) {
  const CertSpec good = card.leaf_spec();
  const auto with = [&](const auto& change) {
    CertSpec out = good;
    change(out);
    return out;
  };
  leaf(with([](CertSpec& s) { s.basic_constraints = "critical,CA:TRUE"; }), "P-384", card.issuer,
       {"ATT-LEAF-CA"}, "a leaf that may issue");
  leaf(with([](CertSpec& s) { s.basic_constraints.reset(); }), "P-384", card.issuer, {"ATT-LEAF-CA"},
       "without basicConstraints");
  leaf(with([](CertSpec& s) { s.key_usage.reset(); }), "P-384", card.issuer, {"ATT-LEAF-USAGE"},
       "without keyUsage");
  leaf(with([](CertSpec& s) { s.key_usage = "critical,keyAgreement"; }), "P-384", card.issuer,
       {"ATT-LEAF-USAGE"}, "for key agreement");
  leaf(good, "P-256", card.issuer, {"ATT-LEAF-KEY"}, "on P-256");
  leaf(good, "P-521", card.issuer, {"ATT-LEAF-KEY"}, "on P-521");
  leaf(with([](CertSpec& s) { s.serial_number.reset(); }), "P-384", card.issuer, {"ATT-LEAF-UEID"},
       "without a ueid");
  leaf(with([](CertSpec& s) { s.serial_number = "0102030405060708090b"; }), "P-384", card.issuer,
       {"ATT-LEAF-UEID"}, "of another card");
  leaf(with([](CertSpec& s) { s.serial_number = "0102030405060708090A"; }), "P-384", card.issuer,
       {"ATT-LEAF-UEID"}, "in upper case");
  leaf(with([](CertSpec& s) { s.not_after = kTestNow - 1; }), "P-384", card.issuer, {"ATT-CHAIN-TIME"},
       "expired");
  leaf(with([](CertSpec& s) { s.not_before = kTestNow + 1; }), "P-384", card.issuer, {"ATT-CHAIN-TIME"},
       "not yet valid");
  leaf(with([](CertSpec& s) { s.digest = "SHA1"; }), "P-384", card.issuer, {"ATT-CHAIN"}, "over SHA-1");
  leaf(with([](CertSpec& s) { s.more = {{NID_ext_key_usage, "serverAuth"}}; }), "P-384", card.issuer,
       {"ATT-CHAIN"}, "for TLS servers");
  leaf(good, "P-384", card.root, {"ATT-CHAIN-ORDER"}, "straight under the root, the issuer beside it");
}

TEST_F(Certificates, IssuersThatAreNone) {
  const auto with = [&](const auto& change) {
    CertSpec out = TestCard::issuer_spec();
    change(out);
    return out;
  };
  issuer(with([](CertSpec& s) { s.basic_constraints = "critical,CA:FALSE"; }), {"ATT-CHAIN"}, "CA:FALSE");
  issuer(with([](CertSpec& s) { s.basic_constraints.reset(); }), {"ATT-CHAIN"}, "without basicConstraints");
  issuer(with([](CertSpec& s) { s.key_usage = "critical,cRLSign"; }), {"ATT-CHAIN", "ATT-CHAIN-ROOT"},
         "without keyCertSign");
  issuer(with([](CertSpec& s) { s.basic_constraints = "CA:TRUE,pathlen:0"; }), {"ATT-CHAIN"},
         "basicConstraints not critical");
  issuer(with([](CertSpec& s) { s.not_after = kTestNow - 1; }), {"ATT-CHAIN-TIME"}, "expired");
  issuer(with([](CertSpec& s) { s.not_before = kTestNow + 1; }), {"ATT-CHAIN-TIME"}, "not yet valid");
  issuer(with([](CertSpec& s) { s.digest = "SHA1"; }), {"ATT-CHAIN"}, "over SHA-1");
  // The card's leaf as an issuer: a second leaf under it, with this card's name and any key one likes.
  TestCard mutant = fresh();
  mutant.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &card.leaf);
  mutant.set_chain({mutant.leaf.der(), card.leaf.der(), card.issuer.der()});
  note(mutant, {"ATT-CHAIN", "ATT-CHAIN-ROOT"}, "a leaf as an issuer");
  // One issuer more than the issuer's pathlen allows; one of the same name would not count (RFC 5280
  // section 4.2.1.9).
  CertSpec further = TestCard::issuer_spec();
  further.common_name = "Further issuer";
  mutant.issuer = make_identity(further, make_ec_key("P-384"), &card.issuer);
  mutant.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), &mutant.issuer);
  mutant.set_chain({mutant.leaf.der(), mutant.issuer.der(), card.issuer.der()});
  note(mutant, {"ATT-CHAIN"}, "longer than pathlen");
  // The same names and claims under a root of one's own.
  note(fresh(), {"ATT-CHAIN-ROOT"}, "another root");
  // A leaf that signs itself.
  mutant.leaf = make_identity(card.leaf_spec(), make_ec_key("P-384"), nullptr);
  mutant.set_chain({mutant.leaf.der()});
  note(mutant, {"ATT-CHAIN-ROOT"}, "signed by itself");
}

TEST_F(Certificates, RevocationLists) {
  const auto with = [&](const Bytes& crl) {
    desk.trust.crls = {{"a.crl", crl}};
    return desk.judge(card.report());
  };
  tally.note(with(make_crl(card.issuer, {.revoked = {&card.leaf}})), {"ATT-REVOKED"}, "the leaf revoked");
  tally.note(with(make_crl(card.root, {.revoked = {&card.issuer}})), {"ATT-REVOKED"}, "the issuer revoked");
  tally.note(with(make_crl(card.issuer, {.next_update = kTestNow - 1})), {"ATT-CRL-STALE"}, "stale");
  tally.note(with(make_crl(card.issuer, {.this_update = kTestNow + 1})), {"ATT-CRL-STALE"},
             "from the future");
  tally.note(with(make_crl(card.issuer, {.number = std::nullopt})), {"ATT-CRL"}, "without a number");
  tally.note(with(make_crl(card.issuer, {.next_update = std::nullopt})), {"ATT-CRL"}, "without an end");
  tally.note(with(copy(view("no list"))), {"ATT-CRL"}, "no list at all");
  tally.note(with(make_crl(card.issuer, {.base = 1})), {"ATT-CRL-SCOPE"}, "a delta");
  tally.note(
      with(make_crl(card.issuer, {.more = {{NID_issuing_distribution_point, "critical,onlyuser:TRUE"}}})),
      {"ATT-CRL-SCOPE"}, "of a part");
  tally.note(with(make_crl(card.issuer, {.digest = "SHA1"})), {"ATT-CRL-DIGEST"}, "signed with SHA-1");
  tally.note(with(make_crl(card.issuer, {.raw = {{.critical = true}}})), {"ATT-CRL"}, "a critical extension");
  Bytes forged = make_crl(card.issuer, {});
  forged.back() ^= 1;
  tally.note(with(forged), {"ATT-CRL"}, "forged");
  EXPECT_TRUE(with(make_crl(card.issuer, {})).released);
  desk.trust.crl_floors = attest::raised({}, {make_crl(card.issuer, {.number = 5})});
  tally.note(with(make_crl(card.issuer, {.number = 4})), {"ATT-CRL-ROLLBACK"}, "an older one put back");
  EXPECT_TRUE(with(make_crl(card.issuer, {.number = 5})).released);
  desk.trust.crl_floors.clear();
  desk.policy.devices[0].crl_required.value = true;
  tally.note(with(make_crl(card.issuer, {})), {"POL-CRL"}, "from one of two issuers, and required");
  desk.trust.crls.clear();
  tally.note(desk.judge(card.report()), {"POL-CRL"}, "none, and required");
  desk.trust.crls = {{"a.crl", make_crl(card.issuer, {})}, {"b.crl", make_crl(card.root, {})}};
  EXPECT_TRUE(desk.judge(card.report()).released);
}

}  // namespace
}  // namespace qpcseal::testing
