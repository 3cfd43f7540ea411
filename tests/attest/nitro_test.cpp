// SPDX-License-Identifier: Apache-2.0
// Scheme `aws-nitro`: documents made here that are wrong in one place each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/scheme.h"
#include "tests/attest/test_enclave.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using namespace qpcseal::testing;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Evidence verify(ByteView report, const VerifyContext& context) {
  return find_scheme("aws-nitro")->verify(report, context);
}

class Nitro : public ::testing::Test {
 protected:
  TestEnclave enclave;
  void expect_only(const std::string& id) {
    const Evidence evidence = verify(enclave.report(), enclave.context());
    EXPECT_THAT(ids(evidence.findings), Each(id));
    EXPECT_FALSE(evidence.findings.empty()) << id;
    EXPECT_FALSE(evidence.claims.has_value());
  }
  // The whole path anew, under a root like this.
  void set_root(const CertSpec& root) {
    enclave.root = make_identity(root, make_ec_key("P-384"), nullptr);
    enclave.instance = make_identity({.common_name = "instance"}, make_ec_key("P-384"), &enclave.root);
    enclave.leaf = make_identity({.common_name = std::string(kTestModule) + ".us-east-1.aws",
                                  .basic_constraints = "critical,CA:FALSE",
                                  .key_usage = "digitalSignature"},
                                 make_ec_key("P-384"), &enclave.instance);
    enclave.set("certificate", cbor_bytes(enclave.leaf.der()));
    enclave.set("cabundle", cbor_array({cbor_bytes(enclave.root.der()), cbor_bytes(enclave.instance.der())}));
  }
};

TEST_F(Nitro, AGoodDocumentGivesItsClaims) {
  const Evidence evidence = verify(enclave.report(), enclave.context());
  ASSERT_THAT(ids(evidence.findings), IsEmpty());
  EXPECT_EQ(text_view(evidence.claims->ueid), "i-0123456789abcdef0");
  EXPECT_EQ(evidence.claims->aud, enclave.aud);
  EXPECT_EQ(evidence.claims->nonce, enclave.nonce);
  EXPECT_EQ(evidence.claims->session_key.value().type, SessionKeyType::P384);
  EXPECT_EQ(evidence.claims->session_key->public_key, point_of(enclave.session.get()));
  EXPECT_EQ(evidence.claims->measurements.size(), 4U);  // PCR3 is zero
}

TEST_F(Nitro, SessionKeysComeInOneForm) {
  const auto rsa = make_rsa_key(3072);
  enclave.set("public_key", cbor_bytes(spki_of(rsa.get())));
  EXPECT_EQ(verify(enclave.report(), enclave.context()).claims.value().session_key.value().type,
            SessionKeyType::Rsa);
  const auto fault_of = [&](ByteView key) {
    enclave.set("public_key", cbor_bytes(key));
    const Claims claims = verify(enclave.report(), enclave.context()).claims.value();
    EXPECT_FALSE(claims.session_key);
    return claims.session_key_fault;
  };
  EXPECT_THAT(fault_of(spki_of(make_ec_key("P-521").get())), ::testing::HasSubstr("neither P-256"));
  EXPECT_THAT(fault_of(spki_of(make_rsa_key(2048).get())), ::testing::HasSubstr("2048 bits"));
  EXPECT_THAT(fault_of(spki_of(make_explicit_ec_key("P-384").get())), ::testing::HasSubstr("neither P-256"));
  Bytes longer = spki_of(enclave.session.get());
  longer.push_back(0);
  EXPECT_THAT(fault_of(longer), ::testing::HasSubstr("one accepted form"));
  EXPECT_THAT(fault_of(view("my super secret key")), ::testing::HasSubstr("no SubjectPublicKeyInfo"));
}

TEST_F(Nitro, EachRequiredFieldMustBeThere) {
  for (const auto& [name, id] : std::vector<std::pair<std::string, std::string>>{
           {"timestamp", "ATT-IAT"}, {"digest", "ATT-MEASUREMENTS"}, {"pcrs", "ATT-MEASUREMENTS"}}) {
    TestEnclave other;
    other.remove(name);
    EXPECT_THAT(ids(verify(other.report(), other.context()).findings), ElementsAre(id)) << name;
    other.set(name, from_hex("f6"));
    EXPECT_THAT(ids(verify(other.report(), other.context()).findings), ElementsAre(id)) << name;
  }
  enclave.remove("module_id");
  EXPECT_THAT(ids(verify(enclave.report(), enclave.context()).findings),
              ElementsAre("ATT-UEID", "ATT-LEAF-UEID"));
}

TEST_F(Nitro, OptionalFieldsMayBeAbsentOrNullAndAreThenEmpty) {
  for (const char* name : {"public_key", "user_data", "nonce"}) {
    enclave.set(name, from_hex("f6"));
    EXPECT_TRUE(verify(enclave.report(), enclave.context()).claims.has_value()) << name;
    enclave.remove(name);
    EXPECT_TRUE(verify(enclave.report(), enclave.context()).claims.has_value()) << name;
  }
  const Evidence evidence = verify(enclave.report(), enclave.context());
  EXPECT_THAT(evidence.claims->aud, IsEmpty());
  EXPECT_THAT(evidence.claims->nonce, IsEmpty());
  EXPECT_FALSE(evidence.claims->session_key);
}

TEST_F(Nitro, FieldsHaveTheirTypesAndSizes) {
  const std::vector<std::tuple<std::string, Bytes, std::string>> wrong = {
      {"module_id", cbor_text("i-0123456789abcdef0"), "ATT-UEID"},
      {"module_id", cbor_text("0123456789abcdef-enc01"), "ATT-UEID"},
      {"module_id", cbor_text("i-0123456789abcdeF0-enc01"), "ATT-UEID"},
      {"timestamp", cbor_int(0), "ATT-IAT"},
      {"timestamp", cbor_text("now"), "ATT-IAT"},
      {"digest", cbor_text("SHA256"), "ATT-MEASUREMENTS"},
      {"pcrs", cbor_map({}), "ATT-MEASUREMENTS"},
      {"pcrs", cbor_map({{cbor_int(32), cbor_bytes(Bytes(48, 1))}}), "ATT-MEASUREMENTS"},
      {"pcrs", cbor_map({{cbor_int(-1), cbor_bytes(Bytes(48, 1))}}), "ATT-MEASUREMENTS"},
      {"pcrs", cbor_map({{cbor_text("0"), cbor_bytes(Bytes(48, 1))}}), "ATT-MEASUREMENTS"},
      {"pcrs", cbor_map({{cbor_int(0), cbor_bytes(Bytes(32, 1))}}), "ATT-MEASUREMENTS"},
      {"nonce", cbor_bytes(Bytes(513)), "ATT-NONCE"},
      {"nonce", cbor_text("n"), "ATT-NONCE"},
      {"user_data", cbor_bytes(Bytes(1025)), "ATT-AUD"},
      {"public_key", cbor_bytes({}), "ATT-CNF"},
      {"public_key", cbor_bytes(Bytes(1025)), "ATT-CNF"},
      {"more", cbor_int(1), "ATT-UNKNOWN-CLAIM"}};
  for (const auto& [name, value, id] : wrong) {
    TestEnclave other;
    other.set(name, value);
    const Evidence evidence = verify(other.report(), other.context());
    EXPECT_FALSE(evidence.claims.has_value()) << name;
    EXPECT_THAT(ids(evidence.findings), Contains(id)) << name;
  }
}

TEST_F(Nitro, TheMessageIsUntaggedWithOneHeaderOnly) {
  const Bytes alg = cbor_map({{cbor_int(1), cbor_int(-35)}}), none = cbor_map({});
  const auto made = [&](const std::vector<std::uint64_t>& tags, const Bytes& header, const Bytes& open) {
    return make_sign1(tags, header, open, enclave.document(), enclave.leaf.key.get());
  };
  const Bytes two = cbor_map({{cbor_int(1), cbor_int(-35)}, {cbor_int(4), cbor_bytes({})}});
  for (const Bytes& report : {made({18}, alg, none), made({61, 18}, alg, none), made({}, none, alg),
                              made({}, two, none), made({}, cbor_map({{cbor_int(1), cbor_int(-7)}}), none)}) {
    EXPECT_THAT(ids(verify(report, enclave.context()).findings), ElementsAre("ATT-COSE"));
  }
}

TEST_F(Nitro, ReportsHaveAtMost64KiB) {
  for (const std::size_t size : {kMaxReport, kMaxReport + 1}) {
    const Findings found = verify(Bytes(size), enclave.context()).findings;
    ASSERT_THAT(ids(found), ElementsAre("ATT-COSE"));
    EXPECT_EQ(found.front().observed == "more than 64 KiB", size > kMaxReport) << found.front().observed;
  }
}

TEST_F(Nitro, LooseCborIsRefused) {
  Bytes document = enclave.document();
  document.push_back(0);
  EXPECT_THAT(ids(verify(enclave.report_of(document), enclave.context()).findings), Contains("ATT-CBOR"));
  document = enclave.document();
  document[0] = 0xbf;  // of indefinite length
  document.push_back(0xff);
  EXPECT_THAT(ids(verify(enclave.report_of(document), enclave.context()).findings), Contains("ATT-CBOR"));
  enclave.fields.push_back(enclave.fields.front());
  EXPECT_THAT(ids(verify(enclave.report(), enclave.context()).findings), Contains("ATT-CBOR"));
}

TEST_F(Nitro, TheCertificateMustNameTheEnclave) {
  for (const std::string& name : std::vector<std::string>{
           "i-0123456789abcdef0-enc0123456789abcdee.us-east-1.aws", "i-0123456789abcdef0-enc0123456789abcdef",
           "x", kTestModule, std::string(kTestModule) + ".", std::string(kTestModule) + "0.aws"}) {
    TestEnclave other;
    other.leaf = make_identity(
        {.common_name = name, .basic_constraints = "critical,CA:FALSE", .key_usage = "digitalSignature"},
        make_ec_key("P-384"), &other.instance);
    other.set("certificate", cbor_bytes(other.leaf.der()));
    EXPECT_THAT(ids(verify(other.report(), other.context()).findings), ElementsAre("ATT-LEAF-UEID")) << name;
  }
}

TEST_F(Nitro, IssuersMustBeIssuersThoughThePathIsNotStrict) {
  set_root({.common_name = "test.nitro-enclaves", .key_usage = std::nullopt});
  expect_only("ATT-CHAIN-ISSUER");
}

TEST_F(Nitro, AnotherKeysSignatureIsRefused) {
  const Bytes report = make_sign1({}, cbor_map({{cbor_int(1), cbor_int(-35)}}), cbor_map({}),
                                  enclave.document(), enclave.instance.key.get());
  EXPECT_THAT(ids(verify(report, enclave.context()).findings), ElementsAre("ATT-SIGNATURE"));
  enclave.set("certificate", cbor_bytes(view("no certificate")));
  EXPECT_THAT(ids(verify(enclave.report(), enclave.context()).findings),
              ElementsAre("ATT-CHAIN", "ATT-SIGNATURE"));
}

TEST_F(Nitro, ARootWithoutBasicConstraintsIsNoIssuer) {
  set_root({.common_name = "test.nitro-enclaves", .basic_constraints = std::nullopt});
  expect_only("ATT-CHAIN-ISSUER");
}

TEST_F(Nitro, TheBundleIsThePathRootFirst) {
  enclave.set("cabundle", cbor_array({cbor_bytes(enclave.instance.der()), cbor_bytes(enclave.root.der())}));
  EXPECT_THAT(ids(verify(enclave.report(), enclave.context()).findings),
              ElementsAre("ATT-CHAIN-ORDER", "ATT-CHAIN-ROOT"));
  enclave.set("cabundle", cbor_array({cbor_bytes(enclave.instance.der())}));  // the root left out
  expect_only("ATT-CHAIN-ROOT");
  enclave.set("cabundle", cbor_array({}));
  EXPECT_THAT(ids(verify(enclave.report(), enclave.context()).findings), Contains("ATT-CHAIN"));
}

TEST_F(Nitro, PathsHaveAtMostSixCertificates) {
  const auto of_length = [](std::size_t length) {
    TestEnclave out;
    std::vector<Identity> issuers;
    issuers.push_back(std::move(out.root));
    while (issuers.size() + 1 < length)
      issuers.push_back(make_identity({.common_name = "issuer " + std::to_string(issuers.size())},
                                      make_ec_key("P-384"), &issuers.back()));
    out.leaf = make_identity({.common_name = std::string(kTestModule) + ".us-east-1.aws",
                              .basic_constraints = "critical,CA:FALSE",
                              .key_usage = "digitalSignature"},
                             make_ec_key("P-384"), &issuers.back());
    std::vector<Bytes> bundle;
    for (const Identity& issuer : issuers) bundle.push_back(cbor_bytes(issuer.der()));
    out.set("certificate", cbor_bytes(out.leaf.der()));
    out.set("cabundle", cbor_array(bundle));
    out.root = std::move(issuers.front());
    return out;
  };
  const TestEnclave six = of_length(6), seven = of_length(7);
  EXPECT_THAT(ids(verify(six.report(), six.context()).findings), IsEmpty());
  EXPECT_THAT(ids(verify(seven.report(), seven.context()).findings), Contains("ATT-CHAIN"));
}

TEST(Schemes, AreRecognisedByTheirFirstBytes) {
  EXPECT_EQ(detect_scheme(TestCard().report())->id(), "eat-card");
  EXPECT_EQ(detect_scheme(TestEnclave().report())->id(), "aws-nitro");
  EXPECT_EQ(detect_scheme(view("nonsense")), nullptr);
  EXPECT_EQ(detect_scheme({}), nullptr);
}

}  // namespace
}  // namespace qpcseal::attest
